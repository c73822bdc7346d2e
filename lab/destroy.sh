#!/bin/bash
# Usage: destroy.sh NAME - removes exactly what create.yml made for the lab NAME.
# Its volumes are anonymous and go with the containers (-v).
set -euo pipefail
docker ps -aq --filter "label=tandem.inventory=$1" | xargs -r docker rm -fv >/dev/null
docker network ls -q --filter "label=tandem.inventory=$1" | xargs -r docker network rm >/dev/null
