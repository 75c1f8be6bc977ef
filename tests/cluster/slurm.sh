#!/usr/bin/env bash
# A Slurm of one node on this machine, in the foreground until its standard input ends:  slurm.sh DIR
# The node claims four cores whatever it has, so that two jobs of two need not wait for each other.
#
# Says "ready" when jobs can be submitted with SLURM_CONF=DIR/slurm.conf. Its end, whatever ends it, takes jobs and
# daemons along; so does the end of whoever holds the other end of its input. Needs root, slurm-wlm and munge.
set -euo pipefail
dir=$(realpath "$1") host=$(hostname -s) daemons=()
mkdir -p "$dir/spool" "$dir/state"
export SLURM_CONF=$dir/slurm.conf PATH=$PATH:/usr/sbin

stop() {
  trap '' EXIT INT TERM HUP
  timeout 5 scancel --full --signal=KILL --user="$(id -un)" || true
  for _ in $(seq 50); do [ -n "$(timeout 5 squeue --noheader)" ] || break; sleep 0.1; done
  kill "${daemons[@]}" || true
  for _ in $(seq 50); do kill -0 "${daemons[@]}" || break; sleep 0.1; done
  for process in /proc/[0-9]*; do
    grep -qzFx "SLURM_CONF=$SLURM_CONF" "$process/environ" && kill -9 "${process#/proc/}" || true
  done
} 2>/dev/null
trap stop EXIT
trap exit INT TERM HUP

port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }

cat >"$SLURM_CONF" <<CONF
ClusterName=one
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=$(port)
SlurmdPort=$(port)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
CredType=cred/munge
# A requeued job waits for as long as a credential lives: two minutes, were nothing said.
AuthInfo=socket=$dir/munge.socket,cred_expire=5
StateSaveLocation=$dir/state
SlurmdSpoolDir=$dir/spool
SlurmctldPidFile=$dir/slurmctld.pid
SlurmdPidFile=$dir/slurmd.pid
ProctrackType=proctrack/pgid
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SchedulerParameters=batch_sched_delay=0,sched_min_interval=0,sched_interval=2
SlurmdParameters=config_overrides
ReturnToService=2
KillWait=2
MpiDefault=none
NodeName=$host NodeAddr=127.0.0.1 CPUs=4 State=UNKNOWN
PartitionName=debug Nodes=$host Default=YES MaxTime=INFINITE State=UP
CONF

# Each in a session of its own, so that what ends this script leaves them for `stop` to end in order.
head -c 1024 /dev/urandom >"$dir/munge.key"
chmod 400 "$dir/munge.key"
setsid munged --foreground --force --socket="$dir/munge.socket" --key-file="$dir/munge.key" --pid-file="$dir/munged.pid" \
  --log-file="$dir/munged.log" --seed-file="$dir/munge.seed" >"$dir/munged.out" 2>&1 </dev/null &
daemons+=($!)
for _ in $(seq 100); do [ ! -S "$dir/munge.socket" ] || break; sleep 0.1; done
setsid slurmctld -D >"$dir/slurmctld.log" 2>&1 </dev/null &
daemons+=($!)
setsid slurmd -D >"$dir/slurmd.log" 2>&1 </dev/null &
daemons+=($!)
for _ in $(seq 300); do
  [ "$(timeout 5 sinfo --noheader --format=%t 2>/dev/null)" != idle ] || break
  kill -0 "${daemons[@]}" 2>/dev/null || { tail -n 3 "$dir"/*.log "$dir/munged.out" >&2; exit 1; }
  sleep 0.1
done
echo ready
while read -r _; do :; done
