"""What the studies compare, as overrides of one job."""

RECIPES = {name: (f"experiment={name}",) for name in ("m1", "m2", "m3")}
SEEDS = ("1", "2", "3")
FOLDS = ("0", "1", "2", "3", "4")
SMALL = {
    name: (*words, "train.epochs=20", "dataset.image_size=[64,64]", "train.precision=auto")
    for name, words in RECIPES.items()
}


# How the recipes predict; the runs on HAM10000 were trained before that was settled.
EIGHT_VIEWS = ("inference=flips", "inference.scales=[1.0,1.25]", "inference.prior_correction=0.75")
FOUR_VIEWS = ("inference=flips", "inference.scales=[1.0]", "inference.prior_correction=0.75")
TRAINED = ("inference=flips", "inference.scales=[1.0]", "inference.prior_correction=0.5")


# The parts of recipe/scratch at 48x64 pixels, as overrides of M3 and back to M3.
RESNET = ("model=resnet_small", "model.name=resnet")
ADDED = {
    "augment": ("augment=recipe", "balance=none", "train.epochs=20"),  # in place of Augmentor
    "sampling": ("augment=none", "balance=sampling", "train.epochs=20"),
    "adamw": (
        "train.optimizer=adamw",
        "train.learning_rate=2e-3",
        "train.weight_decay=0.05",
        "train.schedule=cosine",
        "train.warmup_epochs=2",
    ),
    "smoothing": ("train.loss.label_smoothing=0.1",),
    "ema": ("train.ema=0.995",),
    "mixup": ("augment.batch=[{kind:mixup,alpha:0.2,probability:1.0}]",),
    "resnet": RESNET,
}
REMOVED = {
    "augment": ("augment=none",),  # mixup stays
    "sampling": ("balance=none",),
    "adamw": (
        "train.optimizer=adam",
        "train.learning_rate=1e-3",
        "train.weight_decay=0",
        "train.schedule=constant",
        "train.warmup_epochs=0",
    ),
    "smoothing": ("train.loss.label_smoothing=0",),
    "ema": ("train.ema=null",),
    "mixup": ("augment.batch=[]",),
}
ONE_VIEW = ("inference=single", "inference.scales=[1.0]", "inference.prior_correction=none")
SMALL_RECIPE = ("experiment=recipe/scratch", *ONE_VIEW, "train.epochs=20")
# Augmentor more than doubles the images of an epoch: half as many epochs show as many images.
SHORT_M3 = ("experiment=m3", "train.epochs=10")
M3_ALONE = ("experiment=m3", "train.epochs=20")


# Fewer images take more epochs: (epochs, batch size) by images of a class.
IMAGES = ("10", "30", "100", "all")
LENGTHS = {
    "scratch": {"10": (60, 8), "30": (60, 16), "100": (40, 32), "all": (40, 32)},
    "features": {"10": (40, 64), "30": (40, 64), "100": (40, 64), "all": (40, 64)},
    "transfer": {"10": (20, 8), "30": (20, 16), "100": (12, 32), "all": (8, 32)},
}
WAYS = {
    "scratch": ("experiment=recipe/scratch", *TRAINED),
    "features": ("experiment=recipe/features", "inference.prior_correction=1.0"),
    "transfer": ("experiment=recipe/transfer", *TRAINED),
}


def of_images(way: str, count: str) -> str:
    """Returns the name of a way of training with at most so many images of a class."""
    return way if count == "all" else f"{way}-{count}"


def with_images(way: str, count: str) -> tuple[str, ...]:
    """Returns a way of training with at most so many images of a class."""
    epochs, batch_size = LENGTHS[way][count]
    return (
        *WAYS[way],
        f"split.train_per_class={'null' if count == 'all' else count}",
        f"train.epochs={epochs}",
        f"train.batch_size={batch_size}",
    )
