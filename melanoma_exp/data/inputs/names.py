"""Names of columns that give the label away."""

import re

# Names of public lesion datasets for the diagnosis, what follows from it, and names of things.
DIAGNOSIS = re.compile(
    r"(^|_)(dx|iddx|diagnos|benign|malign|melanocyt|melanoma|mel_|nev(us|i)|histo(?!r)|patholog|"
    r"biops|breslow|label|target|ground_?truth|outcome|management|seven_point|predict|probab)"
    r"|^(class(es)?|grade|stage|score)$"
)
IDENTITY = re.compile(
    r"^(image|img|photo|picture|file|path|url|source|hash|md5|split|fold|part|partition|index|isic"
    r"|attribution|copyright(_.*)?|file.*|(.*_)?(id|uid|uuid|name|number|no|date|timestamp))$"
)


def why_refused(column: str) -> str:
    """Returns why a column gives the label away by its name, "" where it does not."""
    word = re.sub(r"[^a-z0-9]+", "_", column.casefold()).strip("_")
    if DIAGNOSIS.search(word):
        return "is the diagnosis or follows from it, by its name"
    if IDENTITY.match(word):
        return "names an image, a person or a part of the data, by its name"
    return ""


def refused(column: str, why: str) -> str:
    """Returns the sentence that refuses a column."""
    return f"{column}: {why}; leave it out, it leaks the label"
