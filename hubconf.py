"""Entry points of torch.hub: `torch.hub.load("owner/name", "svdn")`, or `torch.hub.load(CHECKOUT, "svdn", source="local")`."""

dependencies = [
    "torch",
    "torchvision",
    "safetensors",
    "numpy",
    "scipy",
    "pandas",
    "cv2",
    "skimage",
    "PIL",
    "tqdm",
]


def _network(name, pretrained, variant, size, **overrides):
    from deblurlib.models import create_model, load_model

    if pretrained:
        return load_model(name, variant=variant, size=size)
    return create_model(name, variant, size=size, **overrides)


def svrnn(pretrained=False, variant="paper", size="full", **overrides):
    """SVRNN (Zhang et al., CVPR 2018): (B, 3, H, W) RGB in [0, 1] -> the same; see deblurlib.models.create_model."""
    return _network("svrnn", pretrained, variant, size, **overrides)


def svdn(pretrained=True, variant="paper", size="full", **overrides):
    """SVDN (Yuan et al., CVPR 2020): (B, 3, H, W) RGB in [0, 1] -> the same; its weights are shipped."""
    return _network("svdn", pretrained, variant, size, **overrides)


def radn(pretrained=False, variant="paper", size="full", **overrides):
    """RADN (Purohit and Rajagopalan, AAAI 2020): (B, 3, H, W) RGB in [0, 1] -> the same; see deblurlib.models.create_model."""
    return _network("radn", pretrained, variant, size, **overrides)


def aspdc(pretrained=False, variant="paper", size="full", **overrides):
    """ASPDC (Huo et al., CVPRW 2022): (B, 3, H, W) RGB in [0, 1] -> the same; see deblurlib.models.create_model."""
    return _network("aspdc", pretrained, variant, size, **overrides)
