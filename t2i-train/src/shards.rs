//! The gradient of a batch out of gradients of its parts, each computed on processors of its own.

use std::thread;

use burn::module::Module;
use burn::optim::{GradientsAccumulator, GradientsParams};
use burn::tensor::Tensor;
use rayon::ThreadPoolBuilder;
use t2i_core::{Error, Result};

/// The mean of the losses of all shards and its gradient.
///
/// Much of a step on a CPU runs on one processor whatever there are; shards run side by side, so that none waits. Each
/// has a replica of `model` whose gradients are not another's, and its share of the threads. The sum is taken in the
/// order of the shards, so that it has the same bits however fast each was.
pub(crate) fn gradients<M, F>(model: &M, shards: Vec<F>) -> Result<(f64, GradientsParams)>
where
    M: Module + Sync,
    F: FnOnce(&M) -> Result<Tensor<1>> + Send,
{
    let count = shards.len();
    let threads = (thread::available_parallelism().map_or(1, usize::from) / count.max(1)).max(1);
    let results: Vec<_> = thread::scope(|scope| {
        let run = |shard: F| scope.spawn(move || with_threads(threads, || one(model, shard, count))?);
        let running: Vec<_> = shards.into_iter().map(run).collect();
        running.into_iter().map(|shard| shard.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))).collect()
    });
    let mut sum = (0.0, GradientsAccumulator::<M>::new());
    for result in results {
        let (loss, gradients) = result?;
        sum.0 += loss;
        sum.1.accumulate(model, gradients);
    }
    Ok((sum.0, sum.1.grads()))
}

/// What one of `count` shards adds.
fn one<M: Module>(
    model: &M,
    shard: impl FnOnce(&M) -> Result<Tensor<1>>,
    count: usize,
) -> Result<(f64, GradientsParams)> {
    let devices = model.devices();
    let replica = devices.first().map_or_else(|| model.clone(), |device| model.clone().fork(device));
    let loss = shard(&replica)? / count as f64;
    let gradients = GradientsParams::from_grads(loss.backward(), &replica);
    Ok((f64::from(loss.into_scalar::<f32>()), gradients))
}

/// Runs `work` here, with `threads` threads for what it does in parallel.
fn with_threads<T: Send>(threads: usize, work: impl FnOnce() -> T + Send) -> Result<T> {
    let pool = ThreadPoolBuilder::new().num_threads(threads).use_current_thread().build();
    let pool = pool.map_err(|error| Error::InvalidValue {
        field: "threads",
        value: error.to_string(),
        expected: format!("{threads} more threads"),
    })?;
    Ok(pool.install(work))
}
