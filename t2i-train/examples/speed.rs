//! Temporary.
use burn::prelude::*;
use burn::tensor::Distribution;
use std::time::Instant;
use t2i_train::*;
use t2i_unet::{Conditioning, UNetConfig};
fn main() {
    let device = Device::flex().autodiff();
    let batch: usize = std::env::args().nth(1).map(|s| s.parse().unwrap()).unwrap_or(16);
    let path = std::env::args().nth(2).unwrap();
    let config = UNetConfig::from_options(t2i_core::Options::read(path.as_ref()).unwrap()).unwrap();
    let unet = config.init(&device);
    println!("params {}", burn::module::Module::num_params(&unet));
    let mut training = Training::new(unet, TrainingConfig::default());
    for i in 0..4 {
        let start = Instant::now();
        let x = Tensor::<4>::random([batch, 4, 16, 16], Distribution::Normal(0., 1.), &device);
        let t = Tensor::<1>::ones([batch], &device) * 500.0;
        let c = Tensor::<3>::random([batch, 32, 192], Distribution::Normal(0., 1.), &device);
        let mut fwd = 0.0;
        let r = training.step(|m, _| {
            let y = m.forward(x.clone(), t, &Conditioning::text(c));
            let l = (y - x).square().mean();
            fwd = start.elapsed().as_secs_f64();
            Ok(l)
        });
        let s = start.elapsed().as_secs_f64();
        println!("{i} {r:?} fwd {fwd:.3} total {s:.3} pics/s {:.1}", batch as f64 / s);
    }
}
