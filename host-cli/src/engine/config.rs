// Shared by `build.rs`, which compiles the component with it, and by `engine`, which loads what was compiled: wasmtime
// refuses a component whose settings are not the ones it runs with. A plain comment, since build.rs includes the text.

/// The one configuration of wasmtime, for compiling and for running.
///
/// The component is loaded into other people's programs, most often their Python. So there are no signal handlers, and no
/// address space is reserved ahead: the defaults ask for 4 GiB a memory, which batch systems that limit the address space
/// refuse. Bounds are checked by the code instead, and runaway loops by fuel, since epochs would need a thread.
pub(crate) fn config() -> wasmtime::Config {
    let mut config = wasmtime::Config::new();
    config
        .signals_based_traps(false)
        .memory_reservation(0)
        .memory_reservation_for_growth(1 << 20)
        .memory_guard_size(0)
        .guard_before_linear_memory(false)
        .memory_init_cow(false)
        .memory_may_move(true)
        .consume_fuel(true)
        .concurrency_support(false)
        .generate_address_map(false);
    config
}
