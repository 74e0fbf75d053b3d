//! Which of the processes of a distributed training this is, as its launcher says.

/// A process among many that run the same script.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rank {
    pub(crate) rank: u64,
    pub(crate) size: u64,
}

/// What launchers call the rank and the number of ranks. Each pair is one launcher's own: who else sets one of them does not set both.
const LAUNCHERS: [(&str, &str); 4] = [
    // Open MPI.
    ("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"),
    // MPICH and Intel MPI.
    ("PMI_RANK", "PMI_SIZE"),
    ("MV2_COMM_WORLD_RANK", "MV2_COMM_WORLD_SIZE"),
    // Slurm counts the tasks of a step by these, in `srun` alone: `SLURM_PROCID` by itself is there in batch scripts and their children too.
    ("SLURM_PROCID", "SLURM_STEP_NUM_TASKS"),
];

impl Rank {
    /// As variables of the environment tell; none of a process that is alone.
    pub(crate) fn read(variable: impl Fn(&str) -> Option<String>) -> Option<Self> {
        let number = |name: &str| variable(name)?.trim().parse::<u64>().ok();
        let of = |rank: u64, size: u64| (size > 1 && rank < size).then_some(Self { rank, size });
        // `torchrun`, and those that do as it does: `RANK` alone may be anybody's.
        let torch = || {
            let (size, local) = (number("WORLD_SIZE")?, number("LOCAL_RANK")?);
            let rank = match (number("RANK"), number("NODE_RANK")) {
                (Some(rank), _) => rank,
                // Lightning names the node in place of the rank: whatever the rank is, it is the first only on the first.
                (None, Some(0)) => local,
                (None, Some(node)) => node.max(local),
                (None, None) => return None,
            };
            of(rank, size)
        };
        let launched = || {
            LAUNCHERS.iter().find_map(|(rank, size)| {
                let is_step = !rank.starts_with("SLURM_") || variable("SLURM_STEP_ID").is_some();
                of(number(rank).filter(|_| is_step)?, number(size)?)
            })
        };
        torch().or_else(launched)
    }

    /// Whether this process leaves recording to another one, unless `AURUM_RANKS` says that all do it.
    pub(crate) fn is_other(self, ranks: Option<&str>) -> bool {
        self.rank != 0 && ranks != Some("all")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> Option<(u64, u64)> {
        let find =
            |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
        Rank::read(find).map(|Rank { rank, size }| (rank, size))
    }

    #[test]
    fn launchers_are_understood() {
        for (variables, expected) in [
            (&[("RANK", "3"), ("WORLD_SIZE", "8"), ("LOCAL_RANK", "1")][..], Some((3, 8))),
            (&[("RANK", "0"), ("WORLD_SIZE", "8"), ("LOCAL_RANK", "0")], Some((0, 8))),
            (&[("NODE_RANK", "0"), ("WORLD_SIZE", "2"), ("LOCAL_RANK", "1")], Some((1, 2))),
            (&[("NODE_RANK", "1"), ("WORLD_SIZE", "4"), ("LOCAL_RANK", "0")], Some((1, 4))),
            (&[("OMPI_COMM_WORLD_RANK", "2"), ("OMPI_COMM_WORLD_SIZE", "4")], Some((2, 4))),
            (&[("PMI_RANK", "1"), ("PMI_SIZE", "2")], Some((1, 2))),
            (&[("SLURM_PROCID", "1"), ("SLURM_STEP_NUM_TASKS", "2"), ("SLURM_STEP_ID", "0")], Some((1, 2))),
        ] {
            assert_eq!(read(variables), expected, "{variables:?}");
        }
    }

    #[test]
    fn a_process_that_is_alone_is_no_rank() {
        for variables in [
            &[][..],
            &[("RANK", "3")],
            &[("RANK", "3"), ("WORLD_SIZE", "8")],
            &[("WORLD_SIZE", "8"), ("LOCAL_RANK", "1")],
            &[("RANK", "0"), ("WORLD_SIZE", "1"), ("LOCAL_RANK", "0")],
            &[("RANK", "9"), ("WORLD_SIZE", "8"), ("LOCAL_RANK", "1")],
            &[("RANK", "x"), ("WORLD_SIZE", "8"), ("LOCAL_RANK", "1")],
            &[("RANK", "-1"), ("WORLD_SIZE", "8"), ("LOCAL_RANK", "1")],
            &[("SLURM_PROCID", "3")],
            &[("SLURM_PROCID", "3"), ("SLURM_NTASKS", "8")],
            &[("SLURM_PROCID", "3"), ("SLURM_NTASKS", "8"), ("SLURM_STEP_NUM_TASKS", "8")],
            &[("SLURM_PROCID", "0"), ("SLURM_STEP_NUM_TASKS", "1"), ("SLURM_STEP_ID", "0")],
        ] {
            assert_eq!(read(variables), None, "{variables:?}");
        }
    }

    #[test]
    fn the_first_records_unless_all_do() {
        let (first, other) = (Rank { rank: 0, size: 2 }, Rank { rank: 1, size: 2 });
        assert!(!first.is_other(None) && !first.is_other(Some("all")) && !other.is_other(Some("all")));
        assert!(other.is_other(None) && other.is_other(Some("")) && other.is_other(Some("0")));
    }
}
