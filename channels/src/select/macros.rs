//! `select!`: the cases, as they are written, become one choice and one match.
//!
//! Operands are evaluated in nested matches, so that they and what they borrow live until the
//! choice is made, and are gone before an arm runs. The arms stay in the caller's function: they
//! may `break`, `continue`, `return` and use `?`.

/// Waits until one of several sends and receives can happen, does exactly that one, and runs its
/// arm, as Go's `select`.
///
/// ```text
/// select! {
///     pattern = rx.recv() => arm,       // pattern: of a Result<T, RecvError>
///     pattern = tx.send(value) => arm,  // pattern: of a Result<(), SendError<T>>
///     tx.send(value) => arm,            // the result ignored
///     receiver => arm,                  // any Receiver or &Receiver: runtime::after(d), say
///     default => arm,                   // if nothing is ready
/// }
/// ```
///
/// - Operands are evaluated once, in order, before anything happens (C33); patterns only for the
///   case that happens (C34).
/// - Of several ready cases each is as likely as the others (C35), also if one's channel is here
///   and another's is relayed. To know that, the select asks the coordinator when it is a relayed
///   case's turn: a round trip, which is made more rarely (of 256 turns once, in the end) for a
///   case that was asked in vain. A send on a closed channel is
///   ready, and so is a receive from one that is closed and drained: they yield their errors (C24,
///   C26).
/// - With `default` it never waits (C36); `default` runs only if at one moment no case was ready
///   (C37).
/// - Values of sends that did not happen are dropped. To keep such a value, make the send first
///   (`let mut sending = tx.send(value)`) and write `&mut sending`.
/// - `Option`s of handles: `maybe.recv()` and `maybe.send(value)` are never ready for `None`, Go's
///   nil channel (C21).
/// - `select! {}` waits for ever (C22).
///
/// It awaits, so it belongs into async code; [`select_blocking!`](crate::select_blocking!) is the
/// same on a thread. All arms have one type, which is that of the whole.
///
/// # Cancel safety
///
/// Dropping the future in which a `select!` waits loses nothing: no case has happened. Only while a
/// send to a relayed channel is under way, to a partner that is kept for it or because it was the
/// send's turn to be tried, nobody can know whether it happened (as with
/// [`Sender::send`](crate::Sender::send)).
///
/// ```
/// use channels::{channel, select};
/// # futures::executor::block_on(async {
/// let (numbers_in, numbers) = channel(1);
/// let (_words_in, words) = channel::<String>(1);
/// numbers_in.send(7).await.unwrap();
/// let text = select! {
///     n = numbers.recv() => format!("a number: {}", n.unwrap()),
///     word = words.recv() => word.unwrap(),
/// };
/// assert_eq!(text, "a number: 7");
///
/// let mut nothing = false;
/// select! {
///     _ = numbers.recv() => {}
///     default => nothing = true,
/// }
/// assert!(nothing);
/// # })
/// ```
#[macro_export]
macro_rules! select {
    ($($arms:tt)*) => { $crate::__select!(@parse waits () () $($arms)*) };
}

/// [`select!`](crate::select!) for code that is not async: it blocks the thread.
///
/// ```
/// let (sender, receiver) = channels::channel(0);
/// let thread = std::thread::spawn(move || sender.send_blocking(5));
/// let five = channels::select_blocking! { five = receiver.recv() => five };
/// assert_eq!(five, Ok(5));
/// thread.join().unwrap().unwrap();
///
/// let (_digits_in, digits) = channels::channel::<u8>(1);
/// let (letters_in, letters) = channels::channel(1);
/// letters_in.send_blocking('a').unwrap();
/// for now in ["a letter", "nothing"] {
///     let found = channels::select_blocking! {
///         _ = digits.recv() => "a digit",
///         _ = letters.recv() => "a letter",
///         default => "nothing",
///     };
///     assert_eq!(found, now);
/// }
/// ```
#[macro_export]
macro_rules! select_blocking {
    ($($arms:tt)*) => { $crate::__select!(@parse blocks () () $($arms)*) };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __select {
    // One arm after the other: cases as [pattern] [operand] [arm], and the default.
    (@parse $mode:ident ($($cases:tt)*) ($($default:tt)*)) => {
        $crate::__select!(@whole $mode ($($cases)*) ($($default)*))
    };
    (@parse $mode:ident $cases:tt ($($default:tt)+) default => $($rest:tt)*) => {
        compile_error!("a select has at most one `default`")
    };
    (@parse $mode:ident $cases:tt () default => $arm:block, $($rest:tt)*) => {
        $crate::__select!(@parse $mode $cases ([$arm]) $($rest)*)
    };
    (@parse $mode:ident $cases:tt () default => $arm:block $($rest:tt)*) => {
        $crate::__select!(@parse $mode $cases ([$arm]) $($rest)*)
    };
    (@parse $mode:ident $cases:tt () default => $arm:expr) => {
        $crate::__select!(@parse $mode $cases ([$arm]))
    };
    (@parse $mode:ident $cases:tt () default => $arm:expr, $($rest:tt)*) => {
        $crate::__select!(@parse $mode $cases ([$arm]) $($rest)*)
    };
    // A call without a pattern would be taken for a pattern, and fail as one.
    (@parse $mode:ident $cases:tt $default:tt
        $($path:ident)::+ ($($argument:tt)*) => $($rest:tt)*) => {
        $crate::__select!(@parse $mode $cases $default
            _ = $($path)::+ ($($argument)*) => $($rest)*)
    };
    (@parse $mode:ident $cases:tt $default:tt
        $($path:ident)::+ ($($argument:tt)*).$method:ident($($value:tt)*) => $($rest:tt)*) => {
        $crate::__select!(@parse $mode $cases $default
            _ = $($path)::+ ($($argument)*).$method($($value)*) => $($rest)*)
    };
    (@parse $mode:ident ($($cases:tt)*) $default:tt
        $pattern:pat = $operand:expr => $arm:block, $($rest:tt)*) => {
        $crate::__select!(@parse $mode ($($cases)* { [$pattern] [$operand] [$arm] })
            $default $($rest)*)
    };
    (@parse $mode:ident ($($cases:tt)*) $default:tt
        $pattern:pat = $operand:expr => $arm:block $($rest:tt)*) => {
        $crate::__select!(@parse $mode ($($cases)* { [$pattern] [$operand] [$arm] })
            $default $($rest)*)
    };
    (@parse $mode:ident ($($cases:tt)*) $default:tt $pattern:pat = $operand:expr => $arm:expr) => {
        $crate::__select!(@parse $mode ($($cases)* { [$pattern] [$operand] [$arm] }) $default)
    };
    (@parse $mode:ident ($($cases:tt)*) $default:tt
        $pattern:pat = $operand:expr => $arm:expr, $($rest:tt)*) => {
        $crate::__select!(@parse $mode ($($cases)* { [$pattern] [$operand] [$arm] })
            $default $($rest)*)
    };
    (@parse $mode:ident ($($cases:tt)*) $default:tt $operand:expr => $arm:block, $($rest:tt)*) => {
        $crate::__select!(@parse $mode ($($cases)* { [_] [$operand] [$arm] }) $default $($rest)*)
    };
    (@parse $mode:ident ($($cases:tt)*) $default:tt $operand:expr => $arm:block $($rest:tt)*) => {
        $crate::__select!(@parse $mode ($($cases)* { [_] [$operand] [$arm] }) $default $($rest)*)
    };
    (@parse $mode:ident ($($cases:tt)*) $default:tt $operand:expr => $arm:expr) => {
        $crate::__select!(@parse $mode ($($cases)* { [_] [$operand] [$arm] }) $default)
    };
    (@parse $mode:ident ($($cases:tt)*) $default:tt $operand:expr => $arm:expr, $($rest:tt)*) => {
        $crate::__select!(@parse $mode ($($cases)* { [_] [$operand] [$arm] }) $default $($rest)*)
    };

    (@whole $mode:ident ($($cases:tt)*) $default:tt) => {{
        use $crate::select::{OptionalReceiver as _, OptionalSender as _};
        let chosen = $crate::__select!(@operands $mode $default [] $($cases)*);
        $crate::__select!(@arms chosen $default $($cases)*)
    }};

    // Every operand in order, each alive until the choice is made. Then one of them is tried by
    // itself: if it can go, that was all.
    (@operands $mode:ident $default:tt [$($operand:ident)*]) => {{
        let first = $crate::select::first(
            <[()]>::len(&[$($crate::__select!(@unit $operand)),*]));
        match $crate::__select!(@attempt first $($operand)*) {
            $crate::select::Option::Some(chosen) => chosen,
            $crate::select::Option::None => {
                $crate::__select!(@cases $mode first $default [] $($operand)*)
            }
        }
    }};
    (@operands $mode:ident $default:tt [$($operands:ident)*]
        { [$pattern:pat] [$operand:expr] [$arm:expr] } $($rest:tt)*) => {
        match $operand {
            mut operand => {
                $crate::__select!(@operands $mode $default [$($operands)* operand] $($rest)*)
            }
        }
    };

    (@unit $operand:ident) => { () };

    (@attempt $at:ident) => { $crate::select::Option::<()>::None };
    (@attempt $at:ident $operand:ident $($rest:ident)*) => {
        if $at == 0 {
            $crate::select::Operand::attempt(&mut $operand).map($crate::select::Either::Left)
        } else {
            let at = $at - 1;
            $crate::__select!(@attempt at $($rest)*).map($crate::select::Either::Right)
        }
    };

    (@cases $mode:ident $first:ident $default:tt [$($case:ident)*]) => {
        $crate::__select!(@choose $mode $first $default [$($case)*])
    };
    (@cases $mode:ident $first:ident $default:tt [$($case:ident)*]
        $operand:ident $($rest:ident)*) => {
        match $crate::select::Operand::case(&mut $operand) {
            mut case => {
                $crate::__select!(@cases $mode $first $default [$($case)* case] $($rest)*)
            }
        }
    };

    (@choose waits $first:ident () [$($case:ident)*]) => {{
        $crate::select::choose($first, &mut [$(&mut $case),*]).await;
        $crate::__select!(@outcome $($case)*)
    }};
    (@choose waits $first:ident ($default:tt) [$($case:ident)*]) => {{
        $crate::select::choose_now($first, &mut [$(&mut $case),*]).await;
        $crate::__select!(@outcome $($case)*)
    }};
    (@choose blocks $first:ident () [$($case:ident)*]) => {{
        $crate::select::choose_blocking($first, &mut [$(&mut $case),*]);
        $crate::__select!(@outcome $($case)*)
    }};
    (@choose blocks $first:ident ($default:tt) [$($case:ident)*]) => {{
        $crate::select::choose_now_blocking($first, &mut [$(&mut $case),*]);
        $crate::__select!(@outcome $($case)*)
    }};

    (@outcome) => { () };
    (@outcome $case:ident $($rest:ident)*) => {
        if $crate::select::Steps::was_chosen(&$case) {
            $crate::select::Either::Left($crate::select::Outcome::outcome(&mut $case))
        } else {
            $crate::select::Either::Right($crate::__select!(@outcome $($rest)*))
        }
    };

    (@arms $chosen:ident ()) => {
        match $chosen { () => unreachable!("a select without default ends with a case") }
    };
    (@arms $chosen:ident ([$arm:expr])) => {
        match $chosen { () => $arm }
    };
    (@arms $chosen:ident $default:tt { [$pattern:pat] [$operand:expr] [$arm:expr] }
        $($rest:tt)*) => {
        match $chosen {
            $crate::select::Either::Left($pattern) => $arm,
            $crate::select::Either::Right(others) => {
                $crate::__select!(@arms others $default $($rest)*)
            }
        }
    };
}
