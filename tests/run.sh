# Sourced by ./dev: runs the tests and ends with one line, `N passed, N failed`.
results=$PWD/build/test
fuzz_seconds=${FUZZ_SECONDS:-3}

run_unit() { # KIND: unit tests and fuzz seeds of one build
  echo "== unit tests, $1"
  local status=0
  meson test -C "build/$1" --no-rebuild --quiet --print-errorlogs || status=$?
  cp "build/$1/meson-logs/testlog.json" "$results/unit-$1.json" || true
  echo "unit-$1.json $status" >>"$results/status.txt"
}

run_fuzz_target() { # NAME
  if run_fuzzer "$1" "$fuzz_seconds" >"$results/fuzz-$1.log" 2>&1; then
    echo "$1 passed" >>"$results/fuzz.txt"
  else
    echo "$1 failed" >>"$results/fuzz.txt"
    tail -n 40 "$results/fuzz-$1.log"
  fi
}

run_fuzz() { # two at a time: each has one thread
  local source
  echo "== fuzz targets, $fuzz_seconds s each"
  for source in tests/fuzz/*_*.c; do
    while [ "$(jobs -rp | wc -l)" -ge 2 ]; do wait -n; done
    run_fuzz_target "$(basename "$source" .c)" &
  done
  wait
}

# The next sanitizer's build, while tests that mostly wait run; await_compile before it is used.
compile_behind() { # KIND
  (
    renice -n 19 "$BASHPID" >/dev/null
    compile "$1"
  ) >"$results/compile-$1.log" 2>&1 &
  behind=$!
}

await_compile() { # KIND
  if ! wait "$behind"; then
    tail -n 40 "$results/compile-$1.log"
    fail "the $1 build failed"
  fi
}

run_pytest() { # KIND PATH...
  local kind=$1 status=0 file=pytest-$1-${2##*/}.xml
  shift
  echo "== pytest $*, $kind"
  AGW_BIN=$PWD/build/$kind/agentgateway AGW_BUILD=$kind PYTHONDONTWRITEBYTECODE=1 \
    "$python" -m pytest -q -p no:cacheprovider --timeout=180 --continue-on-collection-errors --junitxml="$results/$file" "$@" </dev/null || status=$?
  echo "$file $status" >>"$results/status.txt"
}

run_tests() {
  case ${1:-} in '' | --fast) ;; *) fail "test: no option '$1'" ;; esac
  setup
  rm -rf "$results" && mkdir -p "$results"
  compile release
  run_pytest release tests/tidy
  run_unit release
  [ "${1:-}" = --fast ] || compile_behind asan
  run_pytest release tests/integration
  if [ "${1:-}" != --fast ]; then
    await_compile asan
    run_unit asan
    run_fuzz
    compile_behind tsan
    run_pytest asan tests/integration
    await_compile tsan
    run_unit tsan
    run_pytest tsan tests/integration
  fi
  "$python" tests/count.py "$results"
}
