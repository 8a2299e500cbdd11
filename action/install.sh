#!/usr/bin/env bash
# Installs what a run needs on a runner: the Arm compiler where it is missing, and the tinyrig that this action belongs to.
set -euo pipefail
if ! command -v arm-none-eabi-gcc >/dev/null; then
    sudo apt-get update -qq
    sudo apt-get install -y -qq --no-install-recommends gcc-arm-none-eabi libnewlib-arm-none-eabi
fi
python -m pip install --quiet --disable-pip-version-check "$GITHUB_ACTION_PATH${EXTRAS:+[$EXTRAS]}"
tinyrig --version
