# What targets are built and run with; sourced by run.sh and minimise.sh.
# libFuzzer's instrumentation needs flags that stable Rust keeps back.
export RUSTC_BOOTSTRAP=1
# Short stacks of allocations, and no watch over the frames of calls that have returned, which safe
# code cannot reach: two and a half times as many executions a second.
export ASAN_OPTIONS=${ASAN_OPTIONS:-detect_leaks=0:malloc_context_size=3:detect_stack_use_after_return=0}
