"""Running the jobs of a sweep: its folder, the processes, the table, the parent run.

A sweep is a folder that holds all it needs: `sweep.json` (jobs and options), and for each job a
folder with `experiment.json`, `status.json`, `run.json` and `job.log`. The launcher (`local` or
`slurm`) starts jobs and reads their status; a job records its own end.
"""
