"""XMP packets: what a rewritten picture no longer contains is no longer announced."""

from xml.dom import minidom
from xml.parsers.expat import ExpatError

TIFF = "http://ns.adobe.com/tiff/1.0/"
EXIF = "http://ns.adobe.com/exif/1.0/"
GONE = (  # namespaces that describe data behind or beside the picture
    "http://ns.google.com/photos/1.0/camera/",  # motion photos
    "http://ns.google.com/photos/1.0/container/",
    "http://ns.google.com/photos/1.0/container/item/",
    "http://ns.google.com/photos/1.0/depthmap/",
    "http://ns.google.com/photos/1.0/image/",
    "http://ns.google.com/photos/1.0/audio/",
    "http://ns.google.com/photos/dd/1.0/device/",
    "http://ns.adobe.com/hdr-gain-map/1.0/",
    "http://ns.apple.com/HDRGainMap/1.0/",
    "http://ns.apple.com/pixeldatainfo/1.0/",
)
GONE_NAMES = {  # single properties of other namespaces
    ("http://ns.adobe.com/xmp/note/", "HasExtendedXMP"),
    ("http://ns.adobe.com/xap/1.0/", "Thumbnails"),
}


def upright(packet: bytes, width: int, height: int) -> bytes | None:
    """Make a packet describe the upright image alone.

    Args:
        packet: The XMP packet.
        width: Width of the upright image in pixels.
        height: Height of the upright image in pixels.

    Returns:
        The packet, unchanged where it says nothing about the pixels; None if it announces data
        that is gone and cannot be edited.
    """
    sizes = {
        (TIFF, "Orientation"): "1",
        (TIFF, "ImageWidth"): str(width),
        (TIFF, "ImageLength"): str(height),
        (EXIF, "PixelXDimension"): str(width),
        (EXIF, "PixelYDimension"): str(height),
    }
    spaces = (*GONE, *(space for space, _ in [*GONE_NAMES, *sizes]))
    if not any(space.encode() in packet for space in spaces):
        return packet
    try:
        document = minidom.parseString(packet.strip(b"\0 \r\n\t"))
    except (ExpatError, ValueError):
        return None
    root = document.documentElement
    if root is None or not _edit(root, sizes):
        return packet
    body = "".join(node.toxml() for node in document.childNodes)
    return body.encode()


def _edit(element: minidom.Element, sizes: dict[tuple[str, str], str]) -> bool:
    """Remove and correct properties below an element; return whether any changed."""
    changed = False
    for attribute in list(element.attributes.values()):
        name = (attribute.namespaceURI, attribute.localName)
        if name[0] in GONE or name in GONE_NAMES:
            element.removeAttributeNode(attribute)
            changed = True
        elif name in sizes and attribute.value != sizes[name]:
            attribute.value = sizes[name]
            changed = True
    for child in [node for node in element.childNodes if isinstance(node, minidom.Element)]:
        name = (child.namespaceURI, child.localName)
        if name[0] in GONE or name in GONE_NAMES:
            element.removeChild(child)
            changed = True
        elif name in sizes and isinstance(child.firstChild, minidom.Text):
            changed |= child.firstChild.data != sizes[name]
            child.firstChild.data = sizes[name]
        else:
            changed |= _edit(child, sizes)
    return changed
