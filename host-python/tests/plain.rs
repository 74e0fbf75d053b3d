//! The parts that need no interpreter. An extension module's own test program would have to be linked to one.

#[path = "../src/gate.rs"]
mod gate;
#[path = "../src/named_run.rs"]
mod named_run;

#[path = "../src/rank.rs"]
mod rank;
