//! Whether AMX may be used here, and the shapes of its tiles.

use std::arch::asm;
use std::arch::x86_64::{__cpuid_count, _xgetbv};
use std::marker::PhantomData;
use std::sync::OnceLock;

/// Whether this CPU has AMX with int8 and the system lets this process use it.
///
/// Asks the system for that, once: a process that has not asked is killed by the first such instruction.
pub(crate) fn is_available() -> bool {
    static AVAILABLE: OnceLock<bool> = OnceLock::new();
    *AVAILABLE.get_or_init(|| is_there() && is_granted())
}

/// The CPU has the instructions, and the system keeps their state.
fn is_there() -> bool {
    /// In what CPUID's leaf 7 says, EDX.
    const TILE_AND_INT8: u32 = 1 << 24 | 1 << 25;
    /// Of the extended control register 0.
    const TILE_STATE: u64 = 1 << 17 | 1 << 18;

    #[target_feature(enable = "xsave")]
    fn kept_state() -> u64 {
        // SAFETY: XSAVE is enabled, so this register is there.
        unsafe { _xgetbv(0) }
    }
    if !is_x86_feature_detected!("avx512f") || !is_x86_feature_detected!("xsave") {
        return false;
    }
    if __cpuid_count(7, 0).edx & TILE_AND_INT8 != TILE_AND_INT8 {
        return false;
    }
    // SAFETY: XSAVE was detected.
    unsafe { kept_state() & TILE_STATE == TILE_STATE }
}

/// The system lets this process use the tiles.
#[cfg(target_os = "linux")]
fn is_granted() -> bool {
    const SYS_ARCH_PRCTL: usize = 158;
    const ARCH_REQ_XCOMP_PERM: usize = 0x1023;
    const XFEATURE_XTILEDATA: usize = 18;
    let answer: isize;
    // SAFETY: this call (Linux, `Documentation/arch/x86/xstate.rst`) writes no memory; `syscall` leaves
    // all registers but these as they were. Systems that do not know it answer with an error.
    unsafe {
        asm!(
            "syscall",
            inlateout("rax") SYS_ARCH_PRCTL => answer,
            in("rdi") ARCH_REQ_XCOMP_PERM,
            in("rsi") XFEATURE_XTILEDATA,
            lateout("rcx") _,
            lateout("r11") _,
            options(nostack),
        );
    }
    answer == 0
}

/// Nobody has tried on other systems.
#[cfg(not(target_os = "linux"))]
fn is_granted() -> bool {
    false
}

/// The tiles of this thread, shaped; they are given back with it.
pub(super) struct Tiles {
    /// A thread's own.
    _stays: PhantomData<*const ()>,
}

/// As `ldtilecfg` reads it (Intel SDM, volume 1, 18.5).
#[repr(C, align(64))]
struct Shapes {
    palette: u8,
    start_row: u8,
    reserved: [u8; 14],
    row_bytes: [u16; 16],
    rows: [u8; 16],
}

const _: () = assert!(size_of::<Shapes>() == 64);

/// 0, 1: sums. 2, 4: 16 rows of 32 activations. 3, 5: 8 groups of weights. 6, 7: half of such.
static SHAPES: Shapes = Shapes {
    palette: 1,
    start_row: 0,
    reserved: [0; 14],
    row_bytes: [64, 64, 32, 64, 32, 64, 16, 64, 0, 0, 0, 0, 0, 0, 0, 0],
    rows: [16, 16, 16, 8, 16, 8, 16, 4, 0, 0, 0, 0, 0, 0, 0, 0],
};

impl Tiles {
    /// # Safety
    /// AMX must be there, and this thread's tiles not in use.
    pub(super) unsafe fn set_up() -> Self {
        // SAFETY: shapes that the palette has, read whole.
        unsafe { asm!("ldtilecfg [{}]", in(reg) &raw const SHAPES, options(readonly, nostack, preserves_flags)) };
        Self { _stays: PhantomData }
    }
}

impl Drop for Tiles {
    fn drop(&mut self) {
        // SAFETY: AMX is there, or nothing were set up. Switching threads costs less without tiles.
        unsafe { asm!("tilerelease", options(nomem, nostack, preserves_flags)) };
    }
}
