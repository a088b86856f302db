//! The first word of a connection: a hello, for a session that begins, or one that had no answer;
//! or a resume, for a session whose link broke. Who shows the wrong secret is told so, and no more.

use channels::id::SessionId;
use channels::wire::{Frame, Role, Secret, link_batch};

use super::Server;
use super::backlog::Backlog;
use super::link::Link;
use super::socket::{Name, Opening, Outgoing};
use crate::Event;

impl Server {
    pub(super) fn on_opening(&mut self, Opening { frame, out, name }: Opening) {
        self.next_link += 1;
        let link = self.next_link;
        let opened = match frame {
            Frame::Hello { version, build, role, secret, nonce } => {
                if self.is_expected(&role, &secret, nonce) {
                    let session = self.register.name_session();
                    name.send(Some(Name { session, link })).ok();
                    let backlog =
                        Backlog::new(self.started.elapsed(), self.queued_bytes_max, self.lease);
                    let mut link = Link::new(secret, nonce, link, out, backlog);
                    if let Role::Worker { launch, .. } = &role {
                        self.launches.remove(launch);
                        self.platform.welcomed(*launch);
                        link.launch = Some(*launch);
                    }
                    self.links.insert(session, link);
                    let role = self.as_platform_allows(role);
                    return self.handle(Event::Connected { session, version, build, role });
                }
                let reason = "its secret is not the one that was given out, or was used before";
                let turned = || Frame::Turned { reason: reason.to_owned() };
                self.hello_again(&secret, nonce).ok_or_else(turned)
            }
            Frame::Resume { session, epoch, last, secret } => {
                // One answer for all, so that nobody learns which sessions there are.
                let reason = "the session is over, or the secret is not its own";
                let fenced = || Frame::Fenced { reason: reason.to_owned() };
                self.resume(session, epoch, last, &secret).ok_or_else(fenced)
            }
            _ => Err(Frame::Turned { reason: "a hello was expected".to_owned() }),
        };
        match opened {
            Ok((session, last, answer)) => {
                name.send(Some(Name { session, link })).ok();
                self.relink(session, link, out, last, &answer);
            }
            Err(turned) => {
                tracing::debug!("a connection is turned away: {turned}");
                out.send(link_batch(&turned));
                name.send(None).ok();
            }
        }
    }

    /// A node that has had no answer to its hello says it again, on another link.
    fn hello_again(&mut self, shown: &Secret, nonce: u64) -> Option<(SessionId, u64, Frame)> {
        let mut links = self.links.iter_mut();
        let (session, link) = links.find(|(_, link)| link.is_born_of(nonce))?;
        let epoch = link.epoch();
        let secret = link.open(epoch, shown)?;
        let (session, lease_ms) = (*session, self.lease.as_millis() as u64);
        Some((session, 0, Frame::Welcome { session, epoch, lease_ms, secret }))
    }

    /// A session is to go on.
    fn resume(
        &mut self,
        session: SessionId,
        epoch: u64,
        last: u64,
        shown: &Secret,
    ) -> Option<(SessionId, u64, Frame)> {
        let link = self.links.get_mut(&session)?;
        let secret = link.open(epoch, shown)?;
        Some((session, last, Frame::Resumed { last: link.received(), secret }))
    }

    /// A node whose secret was right goes on, on a new link, after the last frame that it has.
    fn relink(
        &mut self,
        session: SessionId,
        number: u64,
        out: Outgoing,
        last: u64,
        answer: &Frame,
    ) {
        tracing::debug!("{session} goes on with link {number} after frame {last}");
        let Some(link) = self.links.get_mut(&session) else { return };
        match link.relink(number, out, last, answer) {
            Ok(()) => {
                self.list(session);
                self.handle(Event::Heard { session });
            }
            Err(fault) => self.cut(session, fault.to_string()),
        }
    }

    /// A client may ask for more workers than there can be.
    fn as_platform_allows(&self, role: Role) -> Role {
        match role {
            Role::Client { workers_max, place } => {
                let most = u32::try_from(self.platform.workers_max()).unwrap_or(u32::MAX);
                Role::Client { workers_max: workers_max.min(most), place }
            }
            worker => worker,
        }
    }

    fn is_expected(&self, role: &Role, shown: &Secret, nonce: u64) -> bool {
        let expected = match role {
            Role::Client { .. } if self.links.values().any(|link| link.is_born_of(nonce)) => None,
            Role::Client { .. } => return self.client_secrets.iter().any(|key| key.matches(shown)),
            Role::Worker { launch, .. } => self.launches.get(launch),
        };
        expected.is_some_and(|expected| expected.matches(shown))
    }
}
