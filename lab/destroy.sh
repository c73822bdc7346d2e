#!/bin/bash
# Usage: destroy.sh NAME - removes exactly what create.yml made for the lab NAME, and prints it.
# The volumes are anonymous and go with their containers (-v).
set -euo pipefail
docker ps -a --filter "label=tandem.inventory=$1" --format '{{.Names}}' | xargs -r docker rm -fv
docker network ls --filter "label=tandem.inventory=$1" --format '{{.Name}}' | xargs -r docker network rm
