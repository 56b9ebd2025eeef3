# `evaluate` copies these files and loads the copies; tests/test_evaluation_evaluate_modules.py does so with each.
collect_ignore_glob = ["*"]
