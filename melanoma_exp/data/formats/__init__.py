"""How the files of each format become pixels; `data.image_file` is the way in."""
