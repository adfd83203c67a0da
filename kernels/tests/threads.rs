//! The pool runs every chunk once, whatever happens in one.

use std::num::NonZeroUsize;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};

use qwenda_kernels::{Compute, Isa};

/// Rounds of a test; Miri, which watches every access, gets few.
fn rounds(count: usize) -> usize {
    if cfg!(miri) { count / 50 } else { count }
}

fn compute(threads: usize) -> Compute {
    Compute::new(Isa::Scalar, NonZeroUsize::new(threads).expect("at least one thread"))
}

fn counted(compute: &Compute, chunks: usize) {
    let counts: Vec<_> = (0..chunks).map(|_| AtomicUsize::new(0)).collect();
    compute.for_each(chunks, &|i| {
        counts[i].fetch_add(1, Ordering::Relaxed);
    });
    assert!(counts.iter().all(|c| c.load(Ordering::Relaxed) == 1));
}

#[test]
fn every_chunk_runs_once() {
    for threads in [1, 2, 3, 8] {
        let compute = compute(threads);
        assert_eq!(compute.threads().get(), threads);
        for round in 0..rounds(500) {
            counted(&compute, round % 40);
        }
    }
}

#[test]
fn a_region_inside_a_region_runs() {
    let compute = compute(3);
    let count = AtomicUsize::new(0);
    compute.for_each(5, &|_| {
        compute.for_each(7, &|_| {
            count.fetch_add(1, Ordering::Relaxed);
        });
    });
    assert_eq!(count.into_inner(), 35);
}

#[test]
fn several_threads_may_call_at_once() {
    let compute = compute(3);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| (0..rounds(200)).for_each(|_| counted(&compute, 11)));
        }
    });
}

#[test]
fn a_panic_comes_out_and_the_pool_lives_on() {
    for threads in [1, 2, 4] {
        let compute = compute(threads);
        for bad in [0, 7, 63] {
            let caught = catch_unwind(AssertUnwindSafe(|| {
                compute.for_each(64, &|i| assert!(i != bad, "chunk {i}"));
            }));
            let message = *caught.unwrap_err().downcast::<String>().unwrap();
            assert_eq!(message, format!("chunk {bad}"));
            counted(&compute, 64);
        }
    }
}

#[test]
fn a_panic_in_a_worker_comes_out() {
    let compute = compute(2);
    let caller = std::thread::current().id();
    // The caller stays in its chunk until the worker has taken another one.
    let taken = AtomicUsize::new(0);
    let caught = catch_unwind(AssertUnwindSafe(|| {
        compute.for_each(2, &|_| {
            taken.fetch_add(1, Ordering::SeqCst);
            while taken.load(Ordering::SeqCst) < 2 {
                std::thread::yield_now();
            }
            assert!(std::thread::current().id() == caller, "not the caller");
        });
    }));
    assert_eq!(*caught.unwrap_err().downcast::<&str>().unwrap(), "not the caller");
}

#[test]
fn names_of_instruction_sets_read_back() {
    for isa in Isa::ALL {
        assert_eq!(isa.to_string().parse(), Ok(isa));
    }
    assert!("sse9".parse::<Isa>().is_err());
    assert!(Isa::available().contains(&Isa::detect()));
}
