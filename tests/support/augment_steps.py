"""Steps of an augmentation that change nothing or little, for tests to start from."""

STILL = {
    "kind": "flip_rotate_zoom",
    "flip": "none",
    "shift_height": (0, 0),
    "shift_width": (0, 0),
    "rotation": (0, 0),
    "zoom_height": (0, 0),
    "zoom_width": None,
    "fill_mode": "reflect",
    "fill_value": 0,
    "interpolation": "bilinear",
}

GREY = {
    "kind": "colour",
    "brightness": (0, 0),
    "contrast": (0, 0),
    "saturation": (0, 0),
    "hue": (0, 0),
    "gain": (0, 0),
}

ERASING = {
    "kind": "erasing",
    "probability": 1,
    "area": (0.02, 0.3),
    "aspect": (0.3, 3.3),
    "fill": "noise",
}
