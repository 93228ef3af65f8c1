"""Dynamic-scene motion deblurring: four papers, one library."""
