# shellcheck shell=bash
# The environment that recipes/quickstart.sh and tests/run.sh run in. Source it, then:
#
#   set_up_environment sim     # the package and the simulators
#   set_up_environment dev     # the same and what the tests need
#   set_up_browser             # what they open pages in
#
# Afterwards $VIP_OFFLINE_ENV/bin is first in PATH and MUJOCO_GL names a way to draw without a
# display that was seen to work. A second call is quick. A call that was cut off leaves an
# environment marked as unfinished, which the next call makes anew.
#
# Settings, all optional:
#   PYTHON            the interpreter to use (3.11 or newer)
#   VIP_OFFLINE_ENV   where the environment lives (default: .venv beside pyproject.toml)
#   MUJOCO_GL         how MuJoCo draws (default: egl, else osmesa, whichever works)
#   PIP_*             pip's own settings

set -euo pipefail

VIP_OFFLINE_PROJECT="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
VIP_OFFLINE_ENV="${VIP_OFFLINE_ENV:-$VIP_OFFLINE_PROJECT/.venv}"
case "$VIP_OFFLINE_ENV" in
  /*) ;;
  *) VIP_OFFLINE_ENV="$PWD/$VIP_OFFLINE_ENV" ;;
esac
export VIP_OFFLINE_ENV

# What headless EGL drawing needs on Debian and Ubuntu, with what these depend on.
VIP_OFFLINE_GL_PACKAGES=(libegl1 libgl1)

_say() {
  printf '%s\n' "set-up: $*" >&2
}

_fail() {
  printf '%s\n' "set-up: error: $1" "${@:2}" >&2
  exit 2
}

# _apt_install REASON PACKAGE...: install system packages, or say what the user has to do.
_apt_install() {
  local reason="$1"
  shift
  local as_root=()
  local by_hand="apt-get update && apt-get install -y --no-install-recommends $*"
  command -v apt-get >/dev/null ||
    _fail "$reason, and there is no apt-get here." \
      "Install what Debian calls '$*' with this system's package manager, then run this again."
  if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null ||
      _fail "$reason; installing it takes root, and there is no sudo. As root, run" \
        "  $by_hand" "then run this again."
    as_root=(sudo)
    # without a terminal nobody can type a password
    if [ ! -t 0 ]; then
      as_root=(sudo -n)
    fi
    "${as_root[@]}" true ||
      _fail "$reason, and sudo did not let us install it. As root, run" \
        "  $by_hand" "then run this again."
  fi
  _say "$reason: installing $* with apt-get"
  # A source list of the machine's own that is out of reach need not matter: install decides.
  "${as_root[@]}" apt-get update -qq >/dev/null || _say "apt-get update reported errors; going on"
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
    apt-get install -y -qq --no-install-recommends -o Dpkg::Use-Pty=0 "$@" \
    </dev/null >/dev/null ||
    _fail "$reason, and apt-get could not install it. As root, run" \
      "  $by_hand" "and see what it says, then run this again."
}

# _python_runs PYTHON [CEILING]: does it run, is it 3.11 or newer, and older than 3.CEILING?
_python_runs() {
  "$1" -c "import sys; sys.exit(not (3, 11) <= sys.version_info < (3, ${2:-999}))" >/dev/null 2>&1
}

_python_version() {
  "$1" -c 'import platform; print(platform.python_implementation(), platform.python_version())'
}

# Print the path of an interpreter that is new enough.
_find_python() {
  local ceiling name
  if [ -n "${PYTHON:-}" ]; then
    _python_runs "$PYTHON" ||
      _fail "PYTHON=$PYTHON does not run, or is older than Python 3.11."
    command -v "$PYTHON"
    return
  fi
  # Meta-World 3.1 wants a Python before 3.14; a newer one only where there is nothing else
  for ceiling in 14 999; do
    for name in python3 python3.13 python3.12 python3.11; do
      if _python_runs "$name" "$ceiling"; then
        if [ "$ceiling" = 999 ]; then
          _say "only $("$name" --version) was found; some dependencies may want 3.11 to 3.13"
        fi
        command -v "$name"
        return
      fi
    done
  done
  name="$(python3 --version 2>/dev/null || echo 'no python3')"
  _fail "no Python 3.11 or newer was found ($name)." \
    "Debian 12, Ubuntu 24.04 and newer have it:  apt-get install python3" \
    "Elsewhere install one and name it:          PYTHON=/path/to/python3.12 bash $0"
}

# _make_venv PYTHON: an empty environment at $VIP_OFFLINE_ENV, marked unfinished.
_make_venv() {
  local python="$1" minor
  if ! "$python" -c 'import ensurepip, venv' >/dev/null 2>&1; then
    minor="$("$python" -c 'import sys; print("python%d.%d" % sys.version_info[:2])')"
    case "$("$python" -c 'import sys; print(sys.base_prefix)')" in
      /usr) _apt_install "$python cannot make virtual environments" "$minor-venv" ;;
      *) _fail "$python has no venv or ensurepip module. Name another one: PYTHON=... bash $0" ;;
    esac
  fi
  _say "making $VIP_OFFLINE_ENV with $(_python_version "$python")"
  rm -rf -- "$VIP_OFFLINE_ENV"
  mkdir -p -- "$VIP_OFFLINE_ENV"
  echo unfinished >"$VIP_OFFLINE_ENV/vip-offline-state"
  "$python" -m venv "$VIP_OFFLINE_ENV" >&2 ||
    _fail "$python -m venv $VIP_OFFLINE_ENV did not work; its message is above."
}

# Print what an installation depends on, as one hash; $1 is the environment's Python.
_fingerprint() {
  "$1" - "$VIP_OFFLINE_PROJECT" <<'PYTHON'
import hashlib, pathlib, sys

project = pathlib.Path(sys.argv[1])
what = [sys.version.encode(), str(project).encode(), (project / "pyproject.toml").read_bytes()]
print(hashlib.sha256(b"\0".join(what)).hexdigest())
PYTHON
}

_install() {
  local extra="$1" env="$VIP_OFFLINE_ENV" ours=yes state="" base python fingerprint heartbeat
  python="$env/bin/python"
  if [ -f "$env/vip-offline-state" ]; then
    state="$(cat "$env/vip-offline-state")"
  elif [ -d "$env" ] && [ -n "$(ls -A "$env")" ]; then
    # somebody else's: install into it if it is a working environment, never delete it
    ours=no
    if ! _python_runs "$python" || ! "$python" -m pip --version >/dev/null 2>&1; then
      _fail "$env is there, and is no environment with Python 3.11 or newer and pip." \
        "Remove it, or name another place: VIP_OFFLINE_ENV=... bash $0"
    fi
  fi

  if [ "$ours" = no ]; then
    _say "using $env as it is found"
  else
    # a plain assignment, so that a failure inside ends the script
    base="$(_find_python)"
    if [ "$state" = "" ] || [ "$state" = unfinished ] || ! _python_runs "$python" ||
      [ "$(_python_version "$base")" != "$(_python_version "$python")" ]; then
      _make_venv "$base"
      state=unfinished
    fi
  fi

  fingerprint="$(_fingerprint "$python")"
  # dev includes sim
  if [ "$state" = "$fingerprint $extra" ] || [ "$state" = "$fingerprint dev" ]; then
    return
  fi

  _say "installing the package with [$extra]; a first time takes 2 minutes on a fast connection"
  _say "and 20 or more on a slow one, nearly silently: PyTorch alone is some GB"
  if [ "$ours" = yes ]; then
    echo unfinished >"$env/vip-offline-state"
  fi
  (
    minutes=0
    # the sleep may outlive us by a minute, so it must not hold our output open
    while sleep 60 >/dev/null 2>&1 && kill -0 $$ 2>/dev/null; do
      minutes=$((minutes + 1))
      _say "... still installing after $minutes min"
    done
  ) 9<&- &
  heartbeat=$!
  if ! "$python" -m pip install --quiet --disable-pip-version-check \
    -e "${VIP_OFFLINE_PROJECT}[$extra]" </dev/null >&2; then
    kill "$heartbeat" 2>/dev/null || true
    _fail "pip could not install the package; its message is above." \
      "Where the network was at fault, run this again: what was downloaded whole is kept."
  fi
  kill "$heartbeat" 2>/dev/null || true
  wait "$heartbeat" 2>/dev/null || true
  # in somebody else's environment we keep no state, and so never take it for our own
  if [ "$ours" = yes ]; then
    echo "$fingerprint $extra" >"$env/vip-offline-state"
  fi
}

# _draws BACKEND: can MuJoCo draw with it? Draws a white box in light and looks for it.
_draws() {
  MUJOCO_GL="$1" "$VIP_OFFLINE_ENV/bin/python" - <<'PYTHON'
import mujoco

scene = mujoco.MjModel.from_xml_string(
    "<mujoco><worldbody><light pos='0 0 3'/><geom type='box' size='1 1 1'/></worldbody></mujoco>"
)
data = mujoco.MjData(scene)
mujoco.mj_forward(scene, data)
renderer = mujoco.Renderer(scene, 16, 16)
renderer.update_scene(data)
picture = renderer.render()
renderer.close()
raise SystemExit(0 if picture.any() else "the picture is black")
PYTHON
}

# Set MUJOCO_GL to a backend that draws, with system packages installed where none does.
_find_gl() {
  local backend
  for backend in ${MUJOCO_GL:-egl osmesa}; do
    if _draws "$backend" >/dev/null 2>&1; then
      export MUJOCO_GL="$backend"
      return
    fi
  done
  if [ -n "${MUJOCO_GL:-}" ] && [ "$MUJOCO_GL" != egl ]; then
    _draws "$MUJOCO_GL" || true
    _fail "MUJOCO_GL=$MUJOCO_GL does not draw on this machine; its message is above." \
      "Leave MUJOCO_GL unset and this set-up finds what works."
  fi
  _apt_install "no GL library that draws without a display" "${VIP_OFFLINE_GL_PACKAGES[@]}"
  _draws egl ||
    _fail "MuJoCo still cannot draw with EGL; its message is above." \
      "A software renderer to try instead:  apt-get install libosmesa6"
  export MUJOCO_GL=egl
}

# set_up_browser: a headless browser, in which tests open the pages that the package writes.
set_up_browser() {
  local name
  for name in chromium chromium-browser google-chrome; do
    if command -v "$name" >/dev/null; then
      return
    fi
  done
  _apt_install "no browser to open pages in" chromium
}

# set_up_environment EXTRA: see the top of this file.
set_up_environment() {
  # one set-up at a time; the lock is on a file that is there anyway
  exec 9<"$VIP_OFFLINE_PROJECT/pyproject.toml"
  if command -v flock >/dev/null && ! flock -n 9; then
    _say "another set-up is running here; waiting for it"
    flock 9
  fi
  _install "$1"
  _find_gl
  exec 9<&-
  export PATH="$VIP_OFFLINE_ENV/bin:$PATH"
}
