"""How many labels that an audit suspects are wrong by official ones, and how many it finds.

    melanoma-exp audit dataset=isic9 dataset.root=DIR --from-sweep ID --quick --out audit
    python benchmarks/label_errors.py audit/audit.csv

The yardstick are the findings `official label` of the same audit. A copy of an image that lies in
another class, too, is counted apart: there one of two labels is wrong, whichever it is.
"""

import sys
from pathlib import Path

from melanoma_exp.data.audit.findings import LABEL
from melanoma_exp.system import shown

FIRST = (10, 20, 50, 100, 200)


def main() -> None:
    """Runs the benchmark."""
    rows = list(shown.records(Path(sys.argv[1]).read_text(encoding="utf-8")))
    official = {row["ids"]: row["detail"] for row in rows if row["kind"] == "official label"}
    twice = {i for row in rows if row["kind"] == "two labels" for i in row["ids"].split(" | ")}
    keratoses = {source for source, detail in official.items() if "actinic" in detail}
    suspects = [row["ids"] for row in rows if row["kind"] == LABEL]
    print(f"{len(suspects)} suspects; {len(official)} labels contradict the official one,")
    print(f"of which {len(keratoses)} officially are actinic keratoses")
    print("first  officially wrong  of these keratoses  two labels  neither")
    for count in (*FIRST, len(suspects)):
        some = suspects[:count]
        wrong, both = [s in official for s in some], [s in twice for s in some]
        neither = sum(not (a or b) for a, b in zip(wrong, both, strict=True))
        found = sum(s in keratoses for s in some)
        print(f"{len(some):5}  {sum(wrong):16}  {found:18}  {sum(both):10}  {neither:7}")


if __name__ == "__main__":
    main()
