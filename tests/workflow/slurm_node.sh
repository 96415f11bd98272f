#!/usr/bin/env bash
# A Slurm of one node on this machine, for tests: slurm_node.sh start FOLDER | stop FOLDER
#
# As root, with Debian's packages slurmctld, slurmd and munge. Keys, logs and state lie in FOLDER. The configuration
# has to be /etc/slurm/slurm.conf: the executor takes SLURM_* out of its jobs' environment, SLURM_CONF too. A
# configuration that is there already is somebody's: nothing is started then (status 3).
set -euo pipefail
WAIT_SECONDS=120
CONF=/etc/slurm/slurm.conf

start() {
  if [ -e "$CONF" ]; then
    echo "$CONF exists: this machine has a Slurm" >&2
    exit 3
  fi
  mkdir -p "$folder"/{state,spool} /etc/slurm
  install -d -o munge -g munge -m 0711 "$folder/munge"
  chmod a+x "$folder"
  (umask 077 && head -c 128 /dev/urandom >"$folder/munge/key" && chown munge: "$folder/munge/key")
  # munged refuses a place that others could write to, as /tmp; --force makes that a warning.
  setpriv --reuid=munge --regid=munge --clear-groups munged --force \
    --key-file="$folder/munge/key" --socket="$folder/munge/socket" --seed-file="$folder/munge/seed" \
    --log-file="$folder/munge/log" --pid-file="$folder/munge/pid"
  configuration >"$CONF"
  slurmctld
  slurmd -N "$(hostname -s)"
  for _ in $(seq "$WAIT_SECONDS"); do
    if [ "$(sinfo --noheader --format=%t 2>/dev/null)" = idle ]; then
      return
    fi
    sleep 1
  done
  echo "no idle node in $WAIT_SECONDS s; the logs lie in $folder" >&2
  exit 1
}

# Without accounting, cgroups and mail. Memory is only counted. A requeued job waits for cred_expire before it starts.
configuration() {
  cat <<END
ClusterName=kindred
SlurmctldHost=$(hostname -s)(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket=$folder/munge/socket,cred_expire=10
CredType=cred/munge
CryptoType=crypto/munge
StateSaveLocation=$folder/state
SlurmdSpoolDir=$folder/spool
SlurmctldPidFile=$folder/slurmctld.pid
SlurmdPidFile=$folder/slurmd.pid
SlurmctldLogFile=$folder/slurmctld.log
SlurmdLogFile=$folder/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
MailProg=/bin/true
ReturnToService=2
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=1,bf_interval=1,batch_sched_delay=0
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
SlurmdParameters=config_overrides
KillWait=5
NodeName=$(hostname -s) NodeAddr=127.0.0.1 CPUs=$(getconf _NPROCESSORS_ONLN) RealMemory=64000 State=UNKNOWN
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP
END
}

stop() {
  if ! grep --quiet --no-messages "^StateSaveLocation=$folder/state\$" "$CONF"; then
    exit # not ours, or none
  fi
  # Jobs first, so that nothing of theirs outlives the node.
  timeout 20 scancel --user=root || true
  for _ in {1..200}; do
    [ -n "$(timeout 5 squeue --noheader)" ] || break
    sleep 0.1
  done
  rm "$CONF"
  # Each daemon by the number that it wrote itself, in a file that it removes at its end.
  for pid in "$folder"/{slurmctld.pid,slurmd.pid,munge/pid}; do
    [ ! -e "$pid" ] || kill "$(<"$pid")" || true
    for _ in {1..100}; do
      [ -e "$pid" ] || break
      sleep 0.1
    done
  done
}

folder=$(realpath --canonicalize-missing "${2:?usage: slurm_node.sh start|stop FOLDER}")
case "$1" in
start) start ;;
stop) stop ;;
*) echo "usage: slurm_node.sh start|stop FOLDER" >&2 && exit 2 ;;
esac
