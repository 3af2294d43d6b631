//! The sums of a whole tile, written as instructions of AVX-512.
//!
//! Compilers keep an address for each of twelve rows, more than there are registers, and spend 50 instructions on 24 products.
//! Here every third row has an address, and they are 41: a thread that shares its core with another one is faster by that.

use pulp::Simd;

use super::{
    HIGH,
    rows::{InPlace, Rows},
};
use crate::{prefetch::Requests, scratch::LINE};

/// Lines of the sums that are added at a time.
const LINES: usize = 48;

/// Adds the products of all lines to the sums of a whole tile, where there are such instructions, and the lines lie in place; else
/// none. Returns how many lines were added.
#[inline(always)]
pub(super) fn add_lines<S: Simd, const R: usize, const W: usize, const V: usize>(
    a: &impl Rows,
    b: &[[[S::f32s; W]; LINE]],
    sums: &mut [[S::f32s; V]; R],
    requests: &mut Requests<3>,
) -> usize {
    if !is_avx512::<S>() || [R, V] != HIGH || W != V {
        return 0;
    }
    let Some(a) = a.in_place::<R>() else { return 0 };
    for (i, b) in b.chunks(LINES).enumerate() {
        let values = &a.values[i * LINES * a.line_step..];
        assert!(
            values.len() >= (R - 1) * a.row_step + (b.len() - 1) * a.line_step + LINE,
            "{} lines of {R} rows",
            b.len()
        );
        let mut soon = [b.as_ptr().cast(); LINES];
        for place in soon.iter_mut().take(b.len()) {
            *place = requests.next().unwrap_or(*place);
        }
        // SAFETY: the CPU has the instructions. So many values are on the left, a panel on the right and in the sums.
        #[allow(unsafe_code)]
        unsafe {
            add(InPlace { values, ..a }, b.as_ptr().cast(), b.len(), sums.as_mut_ptr().cast(), &soon);
        }
    }
    b.len()
}

#[cfg(target_arch = "x86_64")]
fn is_avx512<S: Simd>() -> bool {
    use std::any::TypeId;
    TypeId::of::<S>() == TypeId::of::<pulp::x86::V4>()
}

#[cfg(not(target_arch = "x86_64"))]
fn is_avx512<S: Simd>() -> bool {
    false
}

/// Two products with the value at an address, in each of the steps.
#[cfg(target_arch = "x86_64")]
macro_rules! row {
    ($address:literal: $first:literal, $second:literal) => {
        concat!(
            "vbroadcastss zmm26, dword ptr [",
            $address,
            " + 4 * \\step]\n",
            "vfmadd231ps zmm",
            $first,
            ", zmm26, zmm24\n",
            "vfmadd231ps zmm",
            $second,
            ", zmm26, zmm25",
        )
    };
}

/// `sums [12, 32] += a [12, 16 * lines] @ b [16 * lines, 32]`. With each line the memory at a place in `soon` is asked for.
///
/// # Safety
///
/// The CPU has AVX-512F, and there are so many values.
#[cfg(target_arch = "x86_64")]
#[allow(unsafe_code)]
unsafe fn add(a: InPlace<'_>, b: *const f32, lines: usize, sums: *mut f32, soon: &[*const f32; LINES]) {
    let row = |i: usize| a.values.as_ptr().wrapping_add(i * a.row_step);
    // SAFETY: as above. Memory is written at `sums` only, and no other registers are changed.
    unsafe {
        std::arch::asm!(
            ".irp i, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23",
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
            "vmovups zmm24, [{b} + 128 * \\step]",
            "vmovups zmm25, [{b} + 128 * \\step + 64]",
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
            row!("{row_9} + 2 * {row_step}": 22, 23),
            ".endr",
            "add {row_0}, {line_step}",
            "add {row_3}, {line_step}",
            "add {row_6}, {line_step}",
            "add {row_9}, {line_step}",
            "add {b}, 2048",
            "dec {lines}",
            "jnz 2b",
            ".irp i, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23",
            "vmovups [{sums} + 64 * \\i], zmm\\i",
            ".endr",
            row_0 = inout(reg) row(0) => _,
            row_3 = inout(reg) row(3) => _,
            row_6 = inout(reg) row(6) => _,
            row_9 = inout(reg) row(9) => _,
            row_step = in(reg) a.row_step * size_of::<f32>(),
            line_step = in(reg) a.line_step * size_of::<f32>(),
            b = inout(reg) b => _,
            lines = inout(reg) lines => _,
            sums = in(reg) sums,
            soon = inout(reg) soon.as_ptr() => _,
            place = out(reg) _,
            out("zmm0") _, out("zmm1") _, out("zmm2") _, out("zmm3") _, out("zmm4") _, out("zmm5") _, out("zmm6") _,
            out("zmm7") _, out("zmm8") _, out("zmm9") _, out("zmm10") _, out("zmm11") _, out("zmm12") _, out("zmm13") _,
            out("zmm14") _, out("zmm15") _, out("zmm16") _, out("zmm17") _, out("zmm18") _, out("zmm19") _, out("zmm20") _,
            out("zmm21") _, out("zmm22") _, out("zmm23") _, out("zmm24") _, out("zmm25") _, out("zmm26") _,
            options(nostack),
        );
    }
}

/// # Safety
///
/// It is never called.
#[cfg(not(target_arch = "x86_64"))]
#[allow(unsafe_code)]
unsafe fn add(_: InPlace<'_>, _: *const f32, _: usize, _: *mut f32, _: &[*const f32; LINES]) {
    unreachable!("no other CPU has AVX-512");
}
