//! A fixed pool of threads that deals out work in chunks.
//!
//! One region runs at a time. The caller takes part; a worker that is late (asleep, or off the
//! CPU because another process has it) is never waited for unless it holds a chunk. Between
//! regions a worker spins briefly and then parks, so an idle pool costs nothing.

use std::any::Any;
use std::cell::UnsafeCell;
use std::num::NonZeroUsize;
use std::panic::{self, AssertUnwindSafe};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// How long a worker looks for the next region before it parks.
const SPIN: Duration = Duration::from_micros(50);

/// `state` is the region's number above [`EPOCH_SHIFT`], then these.
const OPEN: u64 = 1 << 32;
const STOP: u64 = 1 << 33;
const EPOCH_SHIFT: u32 = 34;
/// The lower half counts the workers inside the region.
const INSIDE: u64 = OPEN - 1;

type Work<'a> = dyn Fn(usize) + Sync + 'a;

struct Shared {
    state: AtomicU64,
    next: AtomicUsize,
    job: UnsafeCell<Option<Job>>,
    panic: Mutex<Option<Box<dyn Any + Send>>>,
    parked: Box<[AtomicBool]>,
}

#[derive(Clone, Copy)]
struct Job {
    work: *const Work<'static>,
    chunks: usize,
}

// SAFETY: `job` is the only field that is not `Sync`. It is written while the region is closed
// and nobody is inside, and read only by workers counted inside an open one; `state` orders the
// two. The work it points to is `Sync`, and the caller's frame keeps it alive until all have left.
unsafe impl Sync for Shared {}
// SAFETY: as above; the pointer in `job` is not used by whoever merely owns this.
unsafe impl Send for Shared {}

pub(crate) struct Pool {
    shared: Arc<Shared>,
    workers: Vec<JoinHandle<()>>,
    /// Held by whoever runs a region.
    busy: Mutex<()>,
}

impl Pool {
    /// A pool in which `threads` take part, the caller included.
    pub(crate) fn new(threads: NonZeroUsize) -> Self {
        let helpers = threads.get() - 1;
        let shared = Arc::new(Shared {
            state: AtomicU64::new(0),
            next: AtomicUsize::new(0),
            job: UnsafeCell::new(None),
            panic: Mutex::new(None),
            parked: (0..helpers).map(|_| AtomicBool::new(false)).collect(),
        });
        let workers = (0..helpers)
            .map(|index| {
                let shared = Arc::clone(&shared);
                thread::Builder::new()
                    .name(format!("compute-{}", index + 1))
                    .spawn(move || shared.work(index))
                    .expect("the system starts a thread")
            })
            .collect();
        Self { shared, workers, busy: Mutex::new(()) }
    }

    pub(crate) fn threads(&self) -> NonZeroUsize {
        NonZeroUsize::MIN.saturating_add(self.workers.len())
    }

    /// Runs `work` for every number below `chunks`, each once, in any order.
    ///
    /// Called from inside `work`, or while another thread has the pool, it does all itself.
    /// A panic in `work` comes out of here.
    pub(crate) fn for_each(&self, chunks: usize, work: &Work<'_>) {
        let busy = if chunks > 1 && !self.workers.is_empty() { self.busy.try_lock().ok() } else { None };
        if busy.is_none() {
            (0..chunks).for_each(work);
            return;
        }
        let shared = &*self.shared;
        // SAFETY: only the lifetime changes. `close`, below, returns when no worker is inside the
        // region any more and none can enter, so the pointer is not used after this call.
        let work = unsafe { std::mem::transmute::<&Work<'_>, &'static Work<'static>>(work) };
        let epoch = shared.state.load(Ordering::Relaxed) >> EPOCH_SHIFT;
        // SAFETY: `busy` is held and the last region was closed and left, so no one reads this.
        unsafe { *shared.job.get() = Some(Job { work, chunks }) };
        shared.next.store(0, Ordering::Relaxed);
        shared.state.store(epoch.wrapping_add(1) << EPOCH_SHIFT | OPEN, Ordering::SeqCst);
        for (parked, worker) in shared.parked.iter().zip(&self.workers) {
            if parked.load(Ordering::SeqCst) && parked.swap(false, Ordering::SeqCst) {
                worker.thread().unpark();
            }
        }
        let mine = panic::catch_unwind(AssertUnwindSafe(|| shared.deal(Job { work, chunks })));
        if mine.is_err() {
            shared.next.store(chunks, Ordering::Relaxed);
        }
        shared.close();
        let theirs = shared.panic.lock().unwrap_or_else(PoisonError::into_inner).take();
        drop(busy);
        if let Some(panic) = mine.err().or(theirs) {
            panic::resume_unwind(panic);
        }
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.shared.state.fetch_or(STOP, Ordering::SeqCst);
        for worker in self.workers.drain(..) {
            worker.thread().unpark();
            // A worker catches what panics in it, so there is nothing to learn here.
            let _ = worker.join();
        }
    }
}

impl Shared {
    fn deal(&self, job: Job) {
        // SAFETY: whoever calls this is inside the region (or opened it), so the work is alive.
        let work = unsafe { &*job.work };
        loop {
            let chunk = self.next.fetch_add(1, Ordering::Relaxed);
            if chunk >= job.chunks {
                return;
            }
            work(chunk);
        }
    }

    /// Lets no one enter any more and waits for those inside.
    fn close(&self) {
        let mut state = self.state.fetch_and(!OPEN, Ordering::AcqRel);
        let mut spins = 0_u32;
        while state & INSIDE != 0 {
            spins += 1;
            if spins < 10_000 {
                std::hint::spin_loop();
            } else {
                // Whoever is inside may need this very CPU.
                thread::yield_now();
            }
            state = self.state.load(Ordering::Acquire);
        }
    }

    fn work(&self, index: usize) {
        let mut done = 0;
        while let Some(epoch) = self.enter(index, done) {
            done = epoch;
            // SAFETY: `enter` counted this worker inside an open region, so the job is that
            // region's and is not written until this worker has left.
            let job = unsafe { *self.job.get() };
            let job = job.expect("an open region has a job");
            if let Err(panic) = panic::catch_unwind(AssertUnwindSafe(|| self.deal(job))) {
                self.next.store(job.chunks, Ordering::Relaxed);
                *self.panic.lock().unwrap_or_else(PoisonError::into_inner) = Some(panic);
            }
            self.state.fetch_sub(1, Ordering::Release);
        }
    }

    /// Waits for an open region other than `done` and enters it; `None` when the pool stops.
    fn enter(&self, index: usize, done: u64) -> Option<u64> {
        let mut since = None;
        let mut spins = 0_u32;
        loop {
            let state = self.state.load(Ordering::Acquire);
            if state & STOP != 0 {
                return None;
            }
            let epoch = state >> EPOCH_SHIFT;
            if state & OPEN != 0 && epoch != done {
                let entered = state + 1;
                let swap = self.state.compare_exchange(state, entered, Ordering::AcqRel, Ordering::Relaxed);
                if swap.is_ok() {
                    return Some(epoch);
                }
                continue;
            }
            spins += 1;
            if !spins.is_multiple_of(64) {
                std::hint::spin_loop();
                continue;
            }
            if since.get_or_insert_with(Instant::now).elapsed() < SPIN {
                continue;
            }
            self.parked[index].store(true, Ordering::SeqCst);
            // A region opened before the flag was set has not seen it: look once more.
            let state = self.state.load(Ordering::SeqCst);
            let news = state & STOP != 0 || (state & OPEN != 0 && state >> EPOCH_SHIFT != done);
            if !news {
                thread::park();
            }
            self.parked[index].store(false, Ordering::SeqCst);
            since = None;
        }
    }
}
