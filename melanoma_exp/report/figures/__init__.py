"""Figures of a run: numpy arrays in, a finished `matplotlib.figure.Figure` out.

Every function is pure: it draws a new figure of its own, touches no file and leaves matplotlib's
global settings alone, so figures can be made headless, in threads and in worker processes.
All figures are at most 7 inches wide (a two-column paper), keep their text at 6 to 9 points,
use colours of the Okabe-Ito palette and keep legends and values outside of the data. Classes
appear in the order given. An input that contradicts the stated shapes raises `ValueError`.
`save` is the one function that writes: equal figures give equal bytes.
"""

from melanoma_exp.report.figures.alerts import alert_curves, decision_curves
from melanoma_exp.report.figures.comparison import SetupCurves, comparison_charts
from melanoma_exp.report.figures.explanations import explanations
from melanoma_exp.report.figures.galleries import augmentation_preview, examples, mistakes
from melanoma_exp.report.figures.learning_rate import range_test
from melanoma_exp.report.figures.reliability import reliability
from melanoma_exp.report.figures.run_page import benefit_chart, reliability_chart, roc_chart
from melanoma_exp.report.figures.scoring import class_scores, confusion
from melanoma_exp.report.figures.search import Trial, search_charts
from melanoma_exp.report.figures.style import save
from melanoma_exp.report.figures.svg import Chart
from melanoma_exp.report.figures.sweeps import SweepCurve, sweep_curves
from melanoma_exp.report.figures.training import class_counts, curves

__all__ = [
    "Chart",
    "SetupCurves",
    "SweepCurve",
    "Trial",
    "alert_curves",
    "augmentation_preview",
    "benefit_chart",
    "class_counts",
    "class_scores",
    "comparison_charts",
    "confusion",
    "curves",
    "decision_curves",
    "examples",
    "explanations",
    "mistakes",
    "reliability",
    "reliability_chart",
    "roc_chart",
    "save",
    "search_charts",
    "range_test",
    "sweep_curves",
]
