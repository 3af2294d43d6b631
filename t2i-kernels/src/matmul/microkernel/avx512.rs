//! The sums of a whole tile, written as instructions of AVX-512.
//!
//! Compilers keep an address for each row in place, and twelve are more than there are registers; of wide tiles they put sums aside. So
//! they spend 50 instructions on 24 products, where every third row with an address takes 34 to 41. A thread that shares its core
//! with another one is faster by that.

use pulp::Simd;

use super::{HIGH, SQUARE, WIDE, rows::Rows};
use crate::{prefetch::Requests, scratch::LINE};

/// Lines of the sums that are added at a time.
const LINES: usize = 48;

/// Adds the products of all lines to the sums of a whole tile, where there are such instructions, and the rows lie in place; else
/// none. Returns how many lines were added.
#[inline(always)]
pub(super) fn add_lines<S: Simd, const R: usize, const W: usize, const V: usize>(
    a: &impl Rows,
    b: &[[[S::f32s; W]; LINE]],
    sums: &mut [[S::f32s; V]; R],
    requests: &mut Requests<3>,
) -> usize {
    if !is_avx512::<S>() || W != V {
        return 0;
    }
    let add = match [R, V] {
        HIGH => add_high,
        WIDE => add_wide,
        SQUARE => add_square,
        _ => return 0,
    };
    let Some(a) = a.in_place::<R>() else { return 0 };
    for (i, b) in b.chunks(LINES).enumerate() {
        let values = &a.values[i * LINES * LINE..];
        assert!(values.len() >= (R - 1) * a.step + b.len() * LINE, "{} lines of {R} rows", b.len());
        let mut soon = [b.as_ptr().cast(); LINES];
        requests.write(&mut soon[..b.len()]);
        // SAFETY: the CPU has the instructions. So many values are on the left, a panel on the right and in the sums.
        #[allow(unsafe_code)]
        unsafe {
            add(values.as_ptr(), a.step, b.as_ptr().cast(), b.len(), sums.as_mut_ptr().cast(), &soon);
        }
    }
    b.len()
}

#[cfg(target_arch = "x86_64")]
#[inline(always)]
pub(super) fn is_avx512<S: Simd>() -> bool {
    use std::any::TypeId;
    TypeId::of::<S>() == TypeId::of::<pulp::x86::V4>()
}

#[cfg(not(target_arch = "x86_64"))]
pub(super) fn is_avx512<S: Simd>() -> bool {
    false
}

/// The value at an address times the vectors of the right operand in each step, added to the sums in these registers.
#[cfg(target_arch = "x86_64")]
macro_rules! row {
    ($address:literal: $($sum:literal += $b:literal),+) => {
        concat!(
            "vbroadcastss zmm30, dword ptr [", $address, " + 4 * \\step]\n",
            $("vfmadd231ps zmm", $sum, ", zmm30, zmm", $b, "\n"),+
        )
    };
    ($address:literal: $a:literal, $b:literal) => {
        row!($address: $a += 25, $b += 26)
    };
    ($address:literal: $a:literal, $b:literal, $c:literal, $d:literal) => {
        row!($address: $a += 25, $b += 26, $c += 27, $d += 28)
    };
    ($address:literal: $a:literal, $b:literal, $c:literal, $d:literal, $e:literal) => {
        row!($address: $a += 25, $b += 26, $c += 27, $d += 28, $e += 29)
    };
}

/// A function that adds the products of so many lines to `sums`. The left operand's rows begin at `row_0`, `row_3`, `row_6` and
/// `row_9`, and `row_step` further. With each line the memory at a place in `soon` is asked for.
#[cfg(target_arch = "x86_64")]
macro_rules! add {
    ($name:ident, sums $sums:literal, values of $b:literal, $($step:expr),+) => {
        /// # Safety
        ///
        /// The CPU has AVX-512F, and there are so many values.
        #[allow(unsafe_code)]
        unsafe fn $name(
            a: *const f32,
            a_step: usize,
            b: *const f32,
            lines: usize,
            sums: *mut f32,
            soon: &[*const f32; LINES],
        ) {
            let row = |i: usize| a.wrapping_add(i * a_step);
            // SAFETY: as above. Memory is written at `sums` only, and no other registers are changed.
            unsafe {
                std::arch::asm!(
                    concat!(".irp i, ", $sums),
                    "vmovups zmm\\i, [{sums} + 64 * \\i]",
                    ".endr",
                    ".p2align 5",
                    "2:",
                    "mov {place}, [{soon}]",
                    "add {soon}, 8",
                    "prefetcht1 [{place}]",
                    "prefetcht1 [{place} + 64]",
                    "prefetcht1 [{place} + 128]",
                    "prefetcht1 [{place} + 192]",
                    ".irp step, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15",
                    $($step,)+
                    ".endr",
                    "add {row_0}, 64",
                    "add {row_3}, 64",
                    "add {row_6}, 64",
                    "add {row_9}, 64",
                    "add {b}, {b_step}",
                    "dec {lines}",
                    "jnz 2b",
                    concat!(".irp i, ", $sums),
                    "vmovups [{sums} + 64 * \\i], zmm\\i",
                    ".endr",
                    row_0 = inout(reg) row(0) => _,
                    row_3 = inout(reg) row(3) => _,
                    row_6 = inout(reg) row(6) => _,
                    row_9 = inout(reg) row(9) => _,
                    row_step = in(reg) a_step * size_of::<f32>(),
                    b = inout(reg) b => _,
                    b_step = const $b * LINE * size_of::<f32>(),
                    lines = inout(reg) lines => _,
                    sums = in(reg) sums,
                    soon = inout(reg) soon.as_ptr() => _,
                    place = out(reg) _,
                    out("zmm0") _, out("zmm1") _, out("zmm2") _, out("zmm3") _, out("zmm4") _, out("zmm5") _,
                    out("zmm6") _, out("zmm7") _, out("zmm8") _, out("zmm9") _, out("zmm10") _, out("zmm11") _,
                    out("zmm12") _, out("zmm13") _, out("zmm14") _, out("zmm15") _, out("zmm16") _, out("zmm17") _,
                    out("zmm18") _, out("zmm19") _, out("zmm20") _, out("zmm21") _, out("zmm22") _, out("zmm23") _,
                    out("zmm24") _, out("zmm25") _, out("zmm26") _, out("zmm27") _, out("zmm28") _, out("zmm29") _,
                    out("zmm30") _,
                    options(nostack),
                );
            }
        }
    };
}

#[cfg(target_arch = "x86_64")]
add!(
    add_high, sums "0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23", values of 32,
    "vmovups zmm25, [{b} + 128 * \\step]",
    "vmovups zmm26, [{b} + 128 * \\step + 64]",
    "prefetcht0 [{b} + 128 * \\step + 2048]", // 16 steps ahead
    "prefetcht0 [{b} + 128 * \\step + 2112]",
    row!("{row_0}": 0, 1),
    row!("{row_0} + {row_step}": 2, 3),
    row!("{row_0} + 2 * {row_step}": 4, 5),
    row!("{row_3}": 6, 7),
    row!("{row_3} + {row_step}": 8, 9),
    row!("{row_3} + 2 * {row_step}": 10, 11),
    row!("{row_6}": 12, 13),
    row!("{row_6} + {row_step}": 14, 15),
    row!("{row_6} + 2 * {row_step}": 16, 17),
    row!("{row_9}": 18, 19),
    row!("{row_9} + {row_step}": 20, 21),
    row!("{row_9} + 2 * {row_step}": 22, 23)
);

#[cfg(target_arch = "x86_64")]
add!(
    add_wide, sums "0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23", values of 64,
    "vmovups zmm25, [{b} + 256 * \\step]",
    "vmovups zmm26, [{b} + 256 * \\step + 64]",
    "vmovups zmm27, [{b} + 256 * \\step + 128]",
    "vmovups zmm28, [{b} + 256 * \\step + 192]",
    row!("{row_0}": 0, 1, 2, 3),
    row!("{row_0} + {row_step}": 4, 5, 6, 7),
    row!("{row_0} + 2 * {row_step}": 8, 9, 10, 11),
    row!("{row_3}": 12, 13, 14, 15),
    row!("{row_3} + {row_step}": 16, 17, 18, 19),
    row!("{row_3} + 2 * {row_step}": 20, 21, 22, 23)
);

#[cfg(target_arch = "x86_64")]
add!(
    add_square, sums "0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24", values of 80,
    "vmovups zmm25, [{b} + 320 * \\step]",
    "vmovups zmm26, [{b} + 320 * \\step + 64]",
    "vmovups zmm27, [{b} + 320 * \\step + 128]",
    "vmovups zmm28, [{b} + 320 * \\step + 192]",
    "vmovups zmm29, [{b} + 320 * \\step + 256]",
    row!("{row_0}": 0, 1, 2, 3, 4),
    row!("{row_0} + {row_step}": 5, 6, 7, 8, 9),
    row!("{row_0} + 2 * {row_step}": 10, 11, 12, 13, 14),
    row!("{row_3}": 15, 16, 17, 18, 19),
    row!("{row_3} + {row_step}": 20, 21, 22, 23, 24)
);

#[cfg(not(target_arch = "x86_64"))]
use {add_nothing as add_high, add_nothing as add_square, add_nothing as add_wide};

/// # Safety
///
/// It is never called.
#[cfg(not(target_arch = "x86_64"))]
#[allow(unsafe_code)]
unsafe fn add_nothing(_: *const f32, _: usize, _: *const f32, _: usize, _: *mut f32, _: &[*const f32; LINES]) {
    unreachable!("no other CPU has AVX-512");
}
