# Where homes outlive their machine, what belongs to one machine alone lies on its own disk. sshd says the same to commands
# without a login shell (/etc/poolhouse/session-environment).
if [ -e /etc/poolhouse/survives-home ] && [ -d "/var/lib/poolhouse-local/${USER:-$(id -un)}" ]; then
  poolhouse_local="/var/lib/poolhouse-local/${USER:-$(id -un)}"
  export XDG_CACHE_HOME="$poolhouse_local/cache"
  export PIP_CACHE_DIR="$poolhouse_local/cache/pip"
  export CONDA_PKGS_DIRS="$poolhouse_local/cache/conda"
  export JUPYTER_RUNTIME_DIR="$poolhouse_local/jupyter-runtime"
  export POOLHOUSE_LOCAL="$poolhouse_local"
  unset poolhouse_local
fi
