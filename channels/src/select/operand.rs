//! What may stand as a case, and becomes one.

use super::case::{Case, Outcome, ReceiveCase, SendCase, Steps};
use crate::handle::{Message, Receiver};
use crate::operation::{Receiving, SendOperation, Sending};

/// What may stand as a case in [`select!`](crate::select!): `rx.recv()`, `tx.send(value)`, either
/// of them by `&mut` (a value that was not sent stays there), a receiver, or `None` for a case that
/// is never ready.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no case of a select",
    label = "expected is a send or a receive",
    note = "a case is `receiver.recv()`, `sender.send(value)`, a `Receiver`, or one in an `Option`"
)]
pub trait Operand {
    /// The case that it becomes.
    type Case<'s>: Case + Outcome
    where
        Self: 's;

    /// The case for one select.
    fn case(&mut self) -> Self::Case<'_>;

    /// Tries to go by itself, before there is a case.
    #[inline]
    fn attempt(&mut self) -> Option<<Self::Case<'_> as Outcome>::Outcome> {
        let mut case = self.case();
        case.attempt().then(|| case.outcome())
    }
}

impl<T: Message> Operand for Receiving<'_, T> {
    type Case<'s>
        = ReceiveCase<'s, T>
    where
        Self: 's;

    #[inline]
    fn case(&mut self) -> ReceiveCase<'_, T> {
        // It may have been polled before: a receive that waits is taken up anew.
        if !self.receive.is_idle() {
            self.receive.give_up(&self.receiver.shared);
        }
        ReceiveCase::of(self.receiver)
    }
}

impl<T: Message> Operand for Receiver<T> {
    type Case<'s> = ReceiveCase<'s, T>;

    fn case(&mut self) -> ReceiveCase<'_, T> {
        ReceiveCase::new(self)
    }
}

impl<T: Message> Operand for &Receiver<T> {
    type Case<'s>
        = ReceiveCase<'s, T>
    where
        Self: 's;

    fn case(&mut self) -> ReceiveCase<'_, T> {
        ReceiveCase::new(self)
    }
}

impl<'a, T: Message> Operand for Sending<'a, T> {
    type Case<'s>
        = SendCase<'s, T, &'s mut SendOperation<T>>
    where
        Self: 's;

    #[inline]
    fn case(&mut self) -> Self::Case<'_> {
        if !self.send.is_idle() {
            self.send.give_up(&self.sender.shared);
        }
        SendCase::new(self.sender, &mut self.send)
    }
}

impl<O: Operand> Operand for &mut O {
    type Case<'s>
        = O::Case<'s>
    where
        Self: 's;

    fn case(&mut self) -> Self::Case<'_> {
        (**self).case()
    }
}
