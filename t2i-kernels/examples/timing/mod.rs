use std::time::{Duration, Instant};
fn cpu() -> f64 {
    std::fs::read_dir("/proc/self/task")
        .unwrap()
        .filter_map(|t| std::fs::read_to_string(t.unwrap().path().join("schedstat")).ok())
        .map(|s| s.split(' ').next().unwrap().parse::<f64>().unwrap() * 1e-9)
        .sum()
}
/// least wall, median wall, median CPU time of all threads; for about `secs`.
pub fn measure(name: &str, flops: f64, torch_ms: f64, secs: f64, mut f: impl FnMut()) {
    f();
    let begin = Instant::now();
    let (mut w, mut c) = (vec![], vec![]);
    while w.len() < 5 || (begin.elapsed() < Duration::from_secs_f64(secs) && w.len() < 1000) {
        let (s, u) = (Instant::now(), cpu());
        f();
        w.push(s.elapsed().as_secs_f64());
        c.push(cpu() - u);
    }
    w.sort_by(f64::total_cmp);
    c.sort_by(f64::total_cmp);
    let (min, med, cpu) = (w[0], w[w.len() / 2], c[c.len() / 2]);
    println!(
        "{name:24} min {:8.3} ms ({:4.0} GF/s)  median {:8.3} ms  cpu/threads {:8.3} ms ({:.0} GF/s/core) torch {torch_ms} n {}",
        min * 1e3,
        flops / min / 1e9,
        med * 1e3,
        cpu * 1e3 / rayon::current_num_threads() as f64,
        flops / cpu / 1e9,
        w.len()
    );
}
