//! Going back to an experiment, and packing one up.

pub mod load;
pub mod pack;
#[cfg(test)]
mod tests;
