"""Running the jobs of a sweep: its folder, the processes, the table, the parent run.

A sweep is a folder that holds all it needs: `sweep.json` (jobs, options, place), and for each job a
folder with `experiment.json`, `status.json`, `run.json` and `job.log`. Who launches (this machine's
slots or Slurm) starts jobs and reads their status; a job writes what became of it.
"""
