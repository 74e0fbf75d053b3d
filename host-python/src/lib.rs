//! `aurum._aurum`: what `import aurum` is made of.
//!
//! Rules live in the sandboxed core and effects in `aurum_host`; here are Python's habits alone: its values, its exceptions,
//! its command line, its interpreter lock and its forks.

#![warn(missing_docs)]

mod block;
mod data;
mod errors;
mod exit_status;
mod experiment;
mod extras;
mod fetch;
mod gate;
mod membership;
mod metrics;
mod models;
mod named_run;
mod opened;
mod parameters;
mod process;
mod query;
mod rank;
mod reading;
mod run;
mod sampling;
mod scope;
mod session;
mod shapes;
mod values;
mod warn;

use pyo3::prelude::*;

#[pymodule(gil_used = true)]
mod _aurum {
    #[pymodule_export]
    use crate::block::{enter_block, leave_block};
    #[pymodule_export]
    use crate::data::{dataset, use_datasets};
    #[pymodule_export]
    use crate::experiment::{history, read_log, read_stored, show};
    #[pymodule_export]
    use crate::extras::{flush, group, log_artifact, note, tag};
    #[pymodule_export]
    use crate::metrics::{log, register_metric, register_metrics};
    #[pymodule_export]
    use crate::models::{load_model, save_model};
    #[pymodule_export]
    use crate::parameters::{Parameters, parameter, parameters, params};
    #[pymodule_export]
    use crate::query::metrics;
    #[pymodule_export]
    use crate::reading::{note_reading, project, tell};
    #[pymodule_export]
    use crate::run::{
        after_fork, after_fork_in_parent, at_exit, before_fork, begin, end_experiment, output, run_id, start,
        terminated,
    };

    /// The version of the package and of the `au` beside it.
    #[pymodule_export]
    #[expect(non_upper_case_globals, reason = "Python's name for it")]
    const __version__: &str = env!("CARGO_PKG_VERSION");
}
