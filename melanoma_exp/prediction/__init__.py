"""What a finished run says about images: a worklist, a page, a served model, exported files.

No module here trains, and nothing here runs code that lies in a run's artifacts: the network is
built from the run's `experiment.json` and takes its numbers from `model.weights.h5`.
"""
