"""
`lmms-eval --include_path "$(python -m mmprolong_hf.evaluation.lmms_eval_tasks PLAN.yaml FOLDER)" --tasks mmprolong ...`

Writes the tasks of an evaluation plan into a new folder, and prints the folder. The names of the tasks go to the other output.
"""

from pathlib import Path
from typing import Annotated

import typer

from mmprolong_hf.evaluation.lmms_eval_tasks.task_folder import write_tasks
from mmprolong_hf.evaluation.options import load_evaluation
from mmprolong_hf.evaluation.plan_questions import plan_questions


def main(
    plan: Annotated[Path, typer.Argument(help="What to ask: a plan of `mmprolong evaluate`.")],
    folder: Annotated[Path, typer.Argument(help="Where the tasks are written; a new folder.")],
) -> None:
    """Write an evaluation plan as tasks of lmms-eval; prints the folder for --include_path."""
    questions = plan_questions(load_evaluation(plan))
    names = write_tasks(questions.contexts, questions.columns, folder)
    for note in questions.notes:
        typer.echo(note, err=True)
    typer.echo(f"{len(questions.columns)} questions, {len(questions.skipped)} left out: {', '.join(names)}", err=True)
    typer.echo(str(folder.resolve()))


if __name__ == "__main__":
    try:
        typer.run(main)
    except ValueError as error:
        raise SystemExit(f"error: {error}") from error
