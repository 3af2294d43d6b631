//! The choice of vector instructions, made when the program runs.

use pulp::{Arch, WithSimd};

/// Runs `op` with the best instructions of this CPU.
#[cfg(not(test))]
#[inline(always)]
pub(crate) fn dispatch<Op: WithSimd>(op: Op) -> Op::Output {
    Arch::new().dispatch(op)
}

/// Runs `op` with the instructions that [`tests::each`] says.
#[cfg(test)]
pub(crate) fn dispatch<Op: WithSimd>(op: Op) -> Op::Output {
    tests::current().dispatch(op)
}

#[cfg(test)]
pub(crate) mod tests {
    use std::sync::{Mutex, PoisonError, RwLock};

    use super::Arch;

    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    static CURRENT: RwLock<Option<Arch>> = RwLock::new(None);

    pub(crate) fn current() -> Arch {
        CURRENT.read().unwrap_or_else(PoisonError::into_inner).unwrap_or_default()
    }

    /// Runs `f` with each kind of instructions that this CPU has.
    pub(crate) fn each(f: impl Fn()) {
        with(all(), f);
    }

    /// Runs `f` with the best instructions of this CPU, while no other test changes them.
    pub(crate) fn best(f: impl Fn()) {
        with(vec![Arch::new()], f);
    }

    fn with(kinds: Vec<Arch>, f: impl Fn()) {
        let _guard = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
        for arch in kinds {
            *CURRENT.write().unwrap_or_else(PoisonError::into_inner) = Some(arch);
            f();
        }
    }

    fn all() -> Vec<Arch> {
        let mut all = vec![Arch::Scalar, Arch::new()];
        #[cfg(target_arch = "x86_64")]
        all.extend(pulp::x86::V3::try_new().map(Arch::V3));
        all
    }
}
