//! Frames about workers: what they measure and cost, what they begin by themselves, and how they
//! leave.

/// Hands all frames to a macro: those written here, and the others.
macro_rules! with_workers {
    ($then:ident $($others:tt)*) => { $then! {
        $($others)*

        /// Worker: what it measures of itself, a few times a second.
        47 Measures {
            /// The readings.
            vitals: Vitals,
        }
        /// Node: what has it cost? Answered by `Billed`.
        48 Bill {
            /// The sender's name for it.
            operation: OperationId,
        }
        /// Coordinator: what it has cost.
        49 Billed {
            /// The question.
            operation: OperationId,
            /// The report, as JSON.
            report: Bytes,
        }
        /// Coordinator: tasks of this worker may begin what they spawn there and then, as long as
        /// no more tasks than this occupy a thread. Replaces what was said before.
        46 Seats {
            /// How many; 0 and nothing begins that way.
            seats: u32,
        }
        /// Worker: tasks of one kind that began so have ended.
        53 Tally {
            /// The function.
            name: String,
            /// How many; at least 1.
            count: u32,
            /// What they took, all together; of memory, the most.
            usage: Usage,
        }
        /// Worker: a task that began so is still there. `Finished` will tell its end, as of a
        /// first attempt, with an outcome that is for nobody.
        54 Began {
            /// The task.
            task: TaskId,
            /// The function.
            name: String,
            /// The nearest task above it that the receiver knows, or knew.
            parent: Option<TaskId>,
        }
        /// Worker: it will leave, and wants no more tasks. Answered by `Shutdown`.
        38 Draining {
            /// Why, in words.
            reason: String,
        }
        /// Worker: a task that was given to it and not begun. Its arguments come back, and the
        /// handles in them go from the worker after this.
        39 Unstarted {
            /// The task.
            task: TaskId,
            /// Which attempt was not made.
            attempt: u32,
            /// The arguments, as they came.
            arguments: Parcel,
        }
        /// Worker: an attempt that is under way now that it must go. `Goodbye` follows.
        93 CutOff {
            /// The task.
            task: TaskId,
            /// Which attempt.
            attempt: u32,
            /// For how long it ran.
            ran_ms: u64,
            /// How long the worker was there, if it goes because its time is over; else 0.
            life_ms: u64,
        }
    } };
}
