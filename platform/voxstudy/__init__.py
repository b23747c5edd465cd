"""The command line and the study engine: Ray Tune, Ray Train, Optuna."""

import os

# Ray reads these when it is first imported, so they stand where nothing of this package can come before them. A value
# that the user has set wins.
_RAY_SETTINGS = {
    "RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "0.5",  # a dead worker is noticed within a second, not two
    "RAY_CHDIR_TO_TRIAL_DIR": "0",  # workers keep the directory the study was started in
    "RAY_TRAIN_ENABLE_PRINT_PATCH": "0",  # a trial's log has each line once
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",  # results go to Arrow tables, not to Tune's files
    "TUNE_GLOBAL_CHECKPOINT_S": "1000000000",  # Tune's own state is never read again
    "RAY_AIR_NEW_OUTPUT": "0",  # Tune stays silent; `console.py` tells what happens
    "RAY_TRAIN_ENABLE_PREEMPTION_WATCHER": "0",  # one process less a lane; dead workers tell of a lost node
    "RAY_TRAIN_METRICS_ENABLED": "0",
}
# An embedded Ray turns token authentication on by itself; its workers then cannot reach the state API unless told so.
if "RAY_ADDRESS" not in os.environ:
    _RAY_SETTINGS["RAY_AUTH_MODE"] = "token"

for _name, _value in _RAY_SETTINGS.items():
    os.environ.setdefault(_name, _value)
