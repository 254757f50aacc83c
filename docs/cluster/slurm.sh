#!/usr/bin/env bash
# A run of all experiments over the nodes of a Slurm allocation: sbatch docs/cluster/slurm.sh, in the checkout, which
# lies on a folder that all nodes share. ray symmetric-run starts Ray on each node, gives the command on the first, and
# stops Ray when it has ended.
#SBATCH --job-name=summarisation-benchmark
#SBATCH --nodes=4
#SBATCH --ntasks-per-node=1
#SBATCH --gpus-per-node=1
#SBATCH --cpus-per-task=16
#SBATCH --time=08:00:00
#SBATCH --output=slurm-%j.txt
set -euo pipefail

# shellcheck source=/dev/null
source .venv/bin/activate
export RAY_USAGE_STATS_ENABLED=0
# Ray keeps sockets there, whose paths may not be long, so each node its own
export RAY_TMPDIR="/tmp/ray-$SLURM_JOB_ID"

head=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)
address=$(getent ahostsv4 "$head" | awk 'NR == 1 {print $1}')

srun ray symmetric-run --address "$address:6379" --min-nodes "$SLURM_JOB_NUM_NODES" \
    --num-cpus "$SLURM_CPUS_PER_TASK" --num-gpus "$SLURM_GPUS_ON_NODE" -- \
    python orchestrator.py --launcher ray-process --ray-address "$address:6379" --gpu auto --all
