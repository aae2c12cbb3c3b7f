//! The one authenticator: who is calling, and whether a key is good. Every door goes through here.

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::try_join_all;
use smallvec::SmallVec;
use tokio::time::Instant;
use trousseau_domain::credential::{self, AcceptedForms, CredentialHeaders, Presented, SentIds};
use trousseau_domain::decision::{Circumstances, Decision, Demand, Disclosure, Meter, Reason, Transport, decide};
use trousseau_domain::digest::{KeyDigest, KeyFingerprint};
use trousseau_domain::environment::Environment;
use trousseau_domain::ids::{BusinessId, KeyId, RequestId};
use trousseau_domain::key_text::{self, ApiKeySecret, InvalidKeyText, TextClaim};
use trousseau_domain::origin::Origin;
use trousseau_domain::platform_keys::PlatformScope;
use trousseau_domain::requests::{ClientName, Door, Outcome};
use trousseau_domain::scope::Scope;
use trousseau_domain::time::Timestamp;
use trousseau_store::{ChangeKind, FoundVersion, PlatformKeyRow, StoreError};

use crate::app::Core;
use crate::context::{KeyCaller, PlatformCaller};
use crate::error::ServiceError;
use crate::idempotency::{self, Idempotent};
use crate::index::{KnownKey, Lease, Remembered, since_boot};
use crate::key_ring::KeyRing;
use crate::limits::{Allowances, Measured};
use crate::platform_keys::scopes_of;
use crate::requests::{CallAnswer, CallTrace, Counted, Subject, SubjectKey};
use crate::secrets::PEPPER_GRACE;

/// The parts of a request that the authenticator looks at.
#[derive(Debug, Clone, Copy)]
pub struct RequestFacts<'a> {
    /// The headers that can carry a credential.
    pub headers: CredentialHeaders<'a>,
    /// Which forms the route takes.
    pub accepted: AcceptedForms,
    /// The method, as one of a few words.
    pub method: &'a str,
    /// The path, as sent.
    pub path: &'a str,
    /// The route that the path belongs to, without its variable parts; this is what is kept of a refusal.
    pub route: &'a str,
    /// The query, as sent.
    pub query: Option<&'a str>,
    /// The `Origin` header.
    pub origin: Option<&'a str>,
    /// Whether a browser sent the request.
    pub from_browser: bool,
    /// The caller's address, where it is known.
    pub address: Option<IpAddr>,
    /// How the request travelled.
    pub transport: Transport,
    /// The `User-Agent` header.
    pub user_agent: Option<&'a str>,
    /// The request's id, which becomes the reference of a refusal.
    pub request_id: RequestId,
    /// Where whose call this is gets noted.
    pub trace: &'a CallTrace,
    /// Whether the request asks about its key and for nothing else: an accepted one cannot fail any more.
    pub is_question: bool,
}

/// A refusal, as the caller's door needs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Why. What of it may be said is the reason's own affair.
    pub reason: Reason,
    /// The scope that is missing, where that is the reason.
    pub missing_scope: Option<Scope>,
    /// How long until the key may be used again, where it was used too often.
    pub retry_after: Option<Duration>,
}

impl Refusal {
    const fn because(reason: Reason) -> Self {
        Self { reason, missing_scope: None, retry_after: None }
    }
}

/// A key that was found good for a request at once, whose answer is still to be made.
#[derive(Debug)]
pub struct Accepted {
    /// The key.
    pub caller: KeyCaller,
    /// The instant that it was judged by.
    pub at: Timestamp,
    /// Where its limits stand.
    pub allowances: Allowances,
    /// What the log keeps of it, if it has a row.
    pub(crate) row: Option<Box<Subject>>,
    /// Whether there was room to count it.
    pub(crate) counted: bool,
    /// When the request was taken up, in nanoseconds since the machine was started.
    began: u64,
}

impl Accepted {
    /// How long it took so far.
    pub fn took(&self) -> Duration {
        Duration::from_nanos(since_boot().saturating_sub(self.began))
    }
}

/// No caller.
#[derive(Debug, thiserror::Error)]
pub enum AccessError {
    /// The key is not good for this.
    #[error("refused: {}", .0.reason)]
    Refused(Refusal),
    /// It could not be told; never an allowance.
    #[error("the key could not be checked")]
    Failed(#[from] ServiceError),
}

impl From<StoreError> for AccessError {
    fn from(error: StoreError) -> Self {
        Self::Failed(error.into())
    }
}

/// One question of the verify call.
#[derive(Debug)]
pub struct VerifyRequest {
    /// The key's text, as its bearer presented it.
    pub key: zeroize::Zeroizing<String>,
    /// The business id that stood beside it.
    pub business_id: Option<String>,
    /// What is demanded of it.
    pub demand: Demand,
    /// The `Origin` of the request that is asked about.
    pub origin: Option<String>,
    /// The address of its caller.
    pub address: Option<IpAddr>,
    /// Under which reference the answer is kept; a question without one leaves no trace.
    pub reference: Option<RequestId>,
}

/// Questions of a batch that are judged at a time.
const AT_A_TIME: usize = 64;
/// How often a batch is looked through for answers that may not be said any more.
const MOST_LOOKS: usize = 4;

/// How a question of the verify call is kept in the request log.
const VERIFY_METHOD: &str = "POST";
const VERIFY_ROUTE: &str = "/v1/keys/verify";

/// The answer to one question.
#[derive(Debug)]
pub struct Verdict {
    /// Whether the key is good.
    pub decision: Decision,
    /// How long until the key may be used again, where it was used too often.
    pub retry_after: Option<Duration>,
    /// Where its limits stand.
    pub allowances: Allowances,
    /// Under which reference the reason of a refusal is kept, where it is: not if no business is known for it, or where
    /// too many are refused.
    pub reference: Option<RequestId>,
    /// The key, if it is good.
    pub key: Option<Box<KeyCaller>>,
    /// For how long a yes may be said.
    until: Lease,
}

/// What a question is answered when it is asked once more.
type LookedAgain = (Decision, Option<Box<KeyCaller>>, Lease);

impl Verdict {
    fn become_of(&mut self, (decision, key, until): LookedAgain) {
        (self.decision, self.key, self.until) = (decision, key, until);
    }
}

/// A question of the verify call, read.
struct Question<'a> {
    request: &'a VerifyRequest,
    secret: ApiKeySecret,
    claim: TextClaim,
    business_ids: SentIds<'a>,
}

impl<'a> Question<'a> {
    /// Reads a question; the reason where that follows from it alone.
    fn read(core: &Core, request: &'a VerifyRequest) -> Result<Self, Reason> {
        let parsed = key_text::parse(&request.key, core.settings.brand());
        let (secret, claim) = parsed.map_err(|error| match error {
            InvalidKeyText::Characters => Reason::CredentialMalformed,
            InvalidKeyText::Form | InvalidKeyText::Checksum => Reason::KeyMalformed,
        })?;
        let sent = request.business_id.iter().filter(|id| !id.is_empty());
        let business_ids: SentIds<'a> = sent.map(|id| Cow::Borrowed(id.as_str())).collect();
        if business_ids.is_empty() && core.settings.text_needs_business_id(claim, secret.expose().len()) {
            return Err(Reason::BusinessIdMissing);
        }
        Ok(Self { request, secret, claim, business_ids })
    }

    fn judge(&self, found: Option<&KnownKey>, meter: Meter, now: Timestamp) -> Result<Decision, ServiceError> {
        let snapshot = found.map(KnownKey::snapshot).transpose()?;
        let circumstances = Circumstances {
            business_ids: &self.business_ids,
            origin: self.request.origin.as_deref(),
            from_browser: self.request.origin.is_some(),
            address: self.request.address,
            transport: Transport::Elsewhere,
            meter,
            now,
        };
        Ok(decide(snapshot.as_ref(), &self.request.demand, &circumstances))
    }
}

/// A question of the verify call that is judged and not counted yet, or why it is refused whatever is known.
struct Weighed<'a> {
    request: &'a VerifyRequest,
    started: Instant,
    judged: Result<JudgedKey<'a>, Reason>,
}

/// What is known of the key of a question, and how that was judged at an instant.
struct JudgedKey<'a> {
    question: Question<'a>,
    found: Option<Box<KnownKey>>,
    decision: Decision,
    now: Timestamp,
    until: Lease,
}

/// Whose a key is, whatever its state: for the operator.
#[derive(Debug)]
pub struct FoundKey {
    /// The key and its business.
    pub found: FoundVersion,
}

/// Use cases of access.
#[derive(Debug, Clone, Copy)]
pub struct Access<'a> {
    core: &'a Core,
}

/// What a text was found to be.
enum Identified {
    Key(Option<Box<KnownKey>>),
    Platform(Option<Box<PlatformKeyRow>>),
}

/// What a text was found to be, and for how long that may be said.
struct Judged {
    identified: Identified,
    is_remembered: bool,
    until: Lease,
}

impl Judged {
    /// What the database said to a question that began at this instant.
    fn certain(identified: Identified, began: u64) -> Self {
        Self { identified, is_remembered: false, until: Lease::since(began) }
    }

    const fn remembered(identified: Identified, until: Lease) -> Self {
        Self { identified, is_remembered: true, until }
    }

    /// Whether this is a yes; a no is said only by what is as fresh as the request.
    fn is_yes(&self, decision: &Decision) -> bool {
        match &self.identified {
            Identified::Key(found) => found.is_some() && *decision == Decision::Allow,
            Identified::Platform(found) => found.as_ref().is_some_and(|row| row.revoked_at.is_none()),
        }
    }

    /// Whether it may still be said: not where the process slept between the look-up and the answer.
    fn holds(&self) -> bool {
        !self.is_remembered || self.until.holds()
    }
}

impl<'a> Access<'a> {
    pub(crate) const fn new(core: &'a Core) -> Self {
        Self { core }
    }

    /// The key of a business behind a request, good for `demand`.
    pub async fn authenticate(self, facts: &RequestFacts<'_>, demand: &Demand) -> Result<KeyCaller, AccessError> {
        let presented = self.read(facts)?;
        let (mut judged, mut decision, mut now) = self.identify_for(facts, demand, &presented).await?;
        if self.has_waited(&judged.identified, &decision, now).await? {
            // What was judged before may be over.
            (judged, decision, now) = self.identify_for(facts, demand, &presented).await?;
        }
        match judged.identified {
            Identified::Key(found) => {
                let judge = |found: &KnownKey, meter| judge(facts, demand, &presented, Some(found), (meter, now));
                let (decision, measured) = self.measured(found.as_deref(), decision, now, judge).await?;
                facts.trace.set_allowances(measured.allowances);
                self.conclude(facts, &presented, found, decision, now, measured.retry_after)
            }
            Identified::Platform(found) => {
                // Proven or not, this is no route for it; only a proven caller learns that.
                let judged = Self::judge_platform(found.as_deref(), facts.transport, facts.from_browser);
                let reason = judged.err().unwrap_or(Reason::KindNotAllowed);
                Err(AccessError::Refused(Refusal::because(reason)))
            }
        }
    }

    /// The same as [`Access::authenticate`] where memory alone says yes, which it does nearly always: nothing has waited
    /// then. `None` where more has to be asked, and for every no; nothing is noted of the request so far. What is accepted
    /// is counted, and its row to be kept by [`Requests::record_accepted`](crate::requests::Requests::record_accepted).
    pub fn accept_at_once(self, facts: &RequestFacts<'_>, demand: &Demand) -> Option<Accepted> {
        let core = self.core;
        // Both at once, so that what the clock has moved is told from what time went by.
        let (began, (at, by_system)) = (since_boot(), core.clock.now_and_by_system());
        let presented = credential::parse(facts.headers, facts.accepted, core.settings.brand()).ok()?;
        let is_key_of_business = presented.claim != TextClaim::Platform && !self.lacks_business_id(&presented);
        if !is_key_of_business || credential::url_holds_key(facts.path, facts.query, core.settings.brand()) {
            return None;
        }
        let ring = core.secrets.current();
        let digests = ring.digests(&KeyFingerprint::of(&presented.secret));
        let Remembered::Is(found, until) = core.index.find_at(&digests, began) else { return None };
        if found.has_quota()
            || renewed_is_due(&ring, found.pepper_version, at)
            || !core.index.clock_is_sure_at(by_system, began)
        {
            return None;
        }
        if judge(facts, demand, &presented, Some(&found), (Meter::Within, at)).ok()? != Decision::Allow {
            return None;
        }
        // All that may still be in the way, before anything is counted.
        found.business.profile().ok()?;
        if !until.holds() {
            return None;
        }
        let count = |calls: &mut _| core.recorder.count_good(calls, &found, at);
        let (Measured { allowances, .. }, counted) = core.limiter.take_pace(&found, (at, began), count)?;
        // Not counted where it is one too many.
        let counted = counted?;
        let has_row = core.recorder.takes_row(found.id, Outcome::Succeeded, at);
        let subject = || self.subject_of(facts, &presented, Some(&found), &Decision::Allow, at).map(Box::new);
        let row = has_row.then(subject).flatten();
        Some(Accepted { caller: KeyCaller::new(found).ok()?, at, allowances, row, counted, began })
    }

    /// The operator's key behind a request, with this scope; any scope if none is named.
    pub async fn authenticate_platform(
        self,
        facts: &RequestFacts<'_>,
        scope: Option<PlatformScope>,
    ) -> Result<PlatformCaller, AccessError> {
        let presented = self.read(facts)?;
        let (judged, decision, now) = self.identify_for(facts, &Demand::default(), &presented).await?;
        match judged.identified {
            Identified::Platform(found) => {
                let caller = Self::judge_platform(found.as_deref(), facts.transport, facts.from_browser)
                    .map_err(|reason| AccessError::Refused(Refusal::because(reason)))?;
                match scope {
                    Some(wanted) if !caller.scopes.allows(wanted) => Err(AccessError::Refused(Refusal {
                        reason: Reason::ScopeMissing,
                        missing_scope: format!("platform:{wanted}").parse().ok(),
                        retry_after: None,
                    })),
                    _ => {
                        self.core.recorder.record_platform_use(caller.id, now);
                        let ring = self.core.secrets.current();
                        if let Some(row) = found.as_ref().filter(|row| renewed_is_due(&ring, row.pepper_version, now)) {
                            self.renew_platform_digest(&presented.secret, row, now);
                        }
                        Ok(caller)
                    }
                }
            }
            Identified::Key(found) => {
                self.conclude(facts, &presented, found, decision, now, None)?;
                facts.trace.refuse(Reason::KindNotAllowed);
                Err(AccessError::Refused(Refusal::because(Reason::KindNotAllowed)))
            }
        }
    }

    /// Looks again whether the operator's key behind a request is still good, now that the rest of the request is there.
    ///
    /// # Errors
    /// [`AccessError::Refused`] where it was revoked meanwhile, or where it could not be told.
    pub async fn check_again(self, caller: &PlatformCaller) -> Result<(), AccessError> {
        let known = match self.core.index.find_platform_by_id(caller.id) {
            Remembered::Is(row, lease) if row.revoked_at.is_none() && lease.holds() => Some(row),
            _ => {
                let rows = self.core.store.read_at_door()?.list_platform_keys().await?;
                rows.into_iter().find(|row| row.id == caller.id)
            }
        };
        match known {
            Some(row) if row.revoked_at.is_none() => Ok(()),
            Some(_) => Err(AccessError::Refused(Refusal::because(Reason::KeyRevoked))),
            None => Err(AccessError::Refused(Refusal::because(Reason::KeyUnknown))),
        }
    }

    /// Answers many questions, in their order, and counts them in it. Some at a time, so that what makes one wait is waited
    /// for once. A yes that may not be said any more by the time that the last one is there is looked for again, and
    /// counted and kept once.
    ///
    /// # Errors
    /// As [`Access::verify`], and where they take too long to be said together.
    pub async fn verify_all(self, requests: &[VerifyRequest]) -> Result<Vec<Verdict>, ServiceError> {
        let mut verdicts = Vec::with_capacity(requests.len());
        for some in requests.chunks(AT_A_TIME) {
            let mut asked = Vec::with_capacity(some.len());
            for request in some {
                asked.push(self.weigh(request));
            }
            for weighed in try_join_all(asked).await? {
                verdicts.push(self.conclude_verify(weighed).await?);
            }
        }
        self.said_together(requests, verdicts).await
    }

    /// The same verdicts, with those anew that may not be said any more.
    async fn said_together(
        self,
        requests: &[VerifyRequest],
        mut verdicts: Vec<Verdict>,
    ) -> Result<Vec<Verdict>, ServiceError> {
        for looks in 0.. {
            let is_over = |verdict: &Verdict| verdict.key.is_some() && !verdict.until.holds();
            let over: Vec<usize> = (0..verdicts.len()).filter(|index| is_over(&verdicts[*index])).collect();
            if over.is_empty() {
                break;
            }
            if looks == MOST_LOOKS {
                // What is not sure is not said; the same may be asked again, in smaller parts.
                return Err(ServiceError::Conflict);
            }
            for some in over.chunks(AT_A_TIME) {
                let mut asked = Vec::with_capacity(some.len());
                for index in some {
                    asked.push(self.look_again(&requests[*index]));
                }
                for (index, again) in some.iter().zip(try_join_all(asked).await?) {
                    verdicts[*index].become_of(again);
                }
            }
        }
        Ok(verdicts)
    }

    /// What is to be said now to a question that was answered yes: how that ends, the key if it is good, until when.
    async fn look_again(self, request: &VerifyRequest) -> Result<LookedAgain, ServiceError> {
        let Ok(question) = Question::read(self.core, request) else { return Err(ServiceError::Conflict) };
        let judge = |found: Option<&KnownKey>, now| question.judge(found, Meter::Within, now);
        let (judged, decision, now) = self.identify(&question.secret, question.claim, judge).await?;
        let until = judged.until;
        let key = match (&decision, judged.identified) {
            (Decision::Allow, Identified::Key(Some(found))) => {
                Some(Box::new(self.accept(&question.secret, *found, now)?))
            }
            _ => None,
        };
        Ok((decision, key, until))
    }

    /// Notes the name of a verify request, whose answer is never given from memory: a yes from yesterday is none.
    ///
    /// # Errors
    /// [`ServiceError::IdempotencyKeyReused`] if it stood for another request.
    pub async fn note_request(self, idempotent: Option<&Idempotent<'_, ()>>) -> Result<(), ServiceError> {
        idempotency::note(self.core, idempotent).await
    }

    /// Whether a key that was presented elsewhere is good.
    ///
    /// # Errors
    /// Only where it could not be told.
    pub async fn verify(self, request: &VerifyRequest) -> Result<Verdict, ServiceError> {
        self.conclude_verify(self.weigh(request).await?).await
    }

    /// Reads and judges a question, and counts nothing yet.
    async fn weigh(self, request: &VerifyRequest) -> Result<Weighed<'_>, ServiceError> {
        let started = Instant::now();
        let weighed = |judged| Ok(Weighed { request, started, judged });
        let question = match Question::read(self.core, request) {
            Ok(question) => question,
            Err(reason) => return weighed(Err(reason)),
        };
        let Question { secret, claim, .. } = &question;
        let judge = |found: Option<&KnownKey>, now| question.judge(found, Meter::Within, now);
        let (mut judged, mut decision, mut now) = self.identify(secret, *claim, judge).await?;
        if self.has_waited(&judged.identified, &decision, now).await? {
            (judged, decision, now) = self.identify(secret, *claim, judge).await?;
        }
        let Judged { identified, until, .. } = judged;
        match identified {
            Identified::Key(found) => weighed(Ok(JudgedKey { question, found, decision, now, until })),
            Identified::Platform(found) => {
                let judged = Self::judge_platform(found.as_deref(), Transport::Elsewhere, request.origin.is_some());
                weighed(Err(judged.err().unwrap_or(Reason::KindNotAllowed)))
            }
        }
    }

    /// Counts a question and keeps its answer.
    async fn conclude_verify(self, weighed: Weighed<'_>) -> Result<Verdict, ServiceError> {
        let Weighed { request, started, judged } = weighed;
        let JudgedKey { question, found, decision, now, until } = match judged {
            Ok(judged) => judged,
            Err(reason) => {
                let decision = Decision::Deny { reason, missing_scope: None };
                let reference = self.keep_verdict(request, None, &decision, self.core.clock.now(), started.elapsed());
                let until = Lease::since(since_boot());
                return Ok(Verdict {
                    decision,
                    retry_after: None,
                    allowances: Allowances::new(),
                    reference,
                    key: None,
                    until,
                });
            }
        };
        let again = |found: &KnownKey, meter| question.judge(Some(found), meter, now);
        let (decision, measured) = self.measured(found.as_deref(), decision, now, again).await?;
        let read = Some((&question, found.as_deref()));
        let reference = self.keep_verdict(request, read, &decision, now, started.elapsed());
        let key = match (&decision, found) {
            (Decision::Allow, Some(found)) => Some(Box::new(self.accept(&question.secret, *found, now)?)),
            _ => None,
        };
        let Measured { retry_after, allowances, .. } = measured;
        Ok(Verdict { decision, retry_after, allowances, reference, key, until })
    }

    /// Whose key this is, whatever its state, also where it stands in a credential or beside other words. The text is
    /// neither kept nor shown.
    pub async fn find(self, text: &str) -> Result<Option<FoundKey>, ServiceError> {
        let mut looked_up = false;
        for key in credential::possible_keys(text) {
            let Ok((secret, claim)) = key_text::parse(&key, self.core.settings.brand()) else { continue };
            if claim == TextClaim::Platform {
                continue;
            }
            looked_up = true;
            if let Some(found) = self.row_of(&self.digests_of(&secret)).await? {
                return Ok(Some(FoundKey { found }));
            }
        }
        if looked_up {
            self.core.secrets_are_whole()?;
        }
        Ok(None)
    }

    /// Reads the credential and refuses what follows from the request alone.
    fn read<'b>(self, facts: &RequestFacts<'b>) -> Result<Presented<'b>, AccessError> {
        let settings = &self.core.settings;
        let refuse = |reason| {
            self.keep_unread(facts, reason);
            Err(AccessError::Refused(Refusal::because(reason)))
        };
        let presented = credential::parse(facts.headers, facts.accepted, settings.brand());
        // Two credentials are named first, then a key in the URL, then what is wrong with the one credential.
        if matches!(presented, Err(Reason::AmbiguousCredentials)) {
            return refuse(Reason::AmbiguousCredentials);
        }
        if credential::url_holds_key(facts.path, facts.query, settings.brand()) {
            return refuse(Reason::KeyInUrl);
        }
        match presented {
            Ok(presented) if self.lacks_business_id(&presented) => refuse(Reason::BusinessIdMissing),
            Ok(presented) => Ok(presented),
            Err(reason) => refuse(reason),
        }
    }

    /// Whether a text came without the business id that has to stand beside every such text.
    fn lacks_business_id(self, presented: &Presented<'_>) -> bool {
        let Presented { secret, claim, business_ids, .. } = presented;
        business_ids.is_empty() && self.core.settings.text_needs_business_id(*claim, secret.expose().len())
    }

    /// What is known of the text and what `judge` makes of it at that instant: the same steps for every well-formed
    /// text. Memory is asked first, and what it said counts only if it still may be said after the judgement.
    async fn identify(
        self,
        secret: &ApiKeySecret,
        claim: TextClaim,
        judge: impl Fn(Option<&KnownKey>, Timestamp) -> Result<Decision, ServiceError>,
    ) -> Result<(Judged, Decision, Timestamp), ServiceError> {
        let core = self.core;
        let digests = self.digests_of(secret);
        let judgement = |judged: &Judged| {
            let now = core.clock.now();
            // Of the very instant that it is judged by: the clock may be moved at any time.
            core.clock_is_sure()?;
            if matches!(judged.identified, Identified::Key(None) | Identified::Platform(None)) {
                core.secrets_are_whole()?;
            }
            let decision = match &judged.identified {
                Identified::Key(found) => judge(found.as_deref(), now)?,
                Identified::Platform(_) => Decision::Allow,
            };
            Ok::<_, ServiceError>((decision, now))
        };
        let mut judged = self.look(claim, &digests).await?;
        let (decision, now) = judgement(&judged)?;
        if judged.is_yes(&decision) && judged.holds() {
            return Ok((judged, decision, now));
        }
        if judged.is_remembered {
            judged = if Box::pin(core.index.proven_now(&core.store)).await {
                self.look(claim, &digests).await?
            } else {
                Box::pin(self.ask(claim, &digests)).await?
            };
        }
        loop {
            let (decision, now) = judgement(&judged)?;
            if judged.holds() {
                return Ok((judged, decision, now));
            }
            judged = Box::pin(self.ask(claim, &digests)).await?;
        }
    }

    /// What a text may be known by: its digest under each pepper in use, the current one first.
    fn digests_of(self, secret: &ApiKeySecret) -> SmallVec<[KeyDigest; 1]> {
        self.core.secrets.current().digests(&KeyFingerprint::of(secret))
    }

    /// Looks into memory; asks the database where that does not say.
    async fn look(self, claim: TextClaim, digests: &[KeyDigest]) -> Result<Judged, ServiceError> {
        let index = &self.core.index;
        Ok(match claim {
            TextClaim::Platform => match index.find_platform(digests) {
                Remembered::Is(row, lease) => Judged::remembered(Identified::Platform(Some(Box::new(row))), lease),
                Remembered::Unknown(lease) => Judged::remembered(Identified::Platform(None), lease),
                Remembered::Ask => Box::pin(self.ask(claim, digests)).await?,
            },
            TextClaim::Branded { .. } | TextClaim::Plain => match index.find(digests) {
                Remembered::Is(known, lease) => Judged::remembered(Identified::Key(Some(Box::new(known))), lease),
                Remembered::Unknown(lease) => Judged::remembered(Identified::Key(None), lease),
                Remembered::Ask => Box::pin(self.ask(claim, digests)).await?,
            },
        })
    }

    /// Asks the database.
    async fn ask(self, claim: TextClaim, digests: &[KeyDigest]) -> Result<Judged, ServiceError> {
        let began = since_boot();
        if claim == TextClaim::Platform {
            let rows = self.core.store.read_at_door()?.find_platform_keys_by_digests(digests).await?;
            let found = rows.into_iter().find(|row| digests.iter().any(|digest| row.digest.matches(digest)));
            return Ok(Judged::certain(Identified::Platform(found.map(Box::new)), began));
        }
        let found = self.row_of(digests).await?;
        let known = found.map(|found| Box::new(KnownKey::found(&self.core.settings, found)));
        Ok(Judged::certain(Identified::Key(known), began))
    }

    async fn row_of(self, digests: &[KeyDigest]) -> Result<Option<FoundVersion>, ServiceError> {
        let rows = self.core.store.read_at_door()?.find_by_digests(digests).await?;
        Ok(rows.into_iter().find(|row| digests.iter().any(|digest| row.version.digest.matches(digest))))
    }

    async fn identify_for(
        self,
        facts: &RequestFacts<'_>,
        demand: &Demand,
        presented: &Presented<'_>,
    ) -> Result<(Judged, Decision, Timestamp), ServiceError> {
        let judge = |found: Option<&KnownKey>, now| judge(facts, demand, presented, found, (Meter::Within, now));
        self.identify(&presented.secret, presented.claim, judge).await
    }

    /// Whether it took the database to know how much of its quotas an accepted key has used: whatever was judged before
    /// that has to be judged once more.
    async fn has_waited(
        self,
        identified: &Identified,
        decision: &Decision,
        now: Timestamp,
    ) -> Result<bool, ServiceError> {
        match (identified, decision) {
            (Identified::Key(Some(found)), Decision::Allow) if found.has_quota() => {
                Ok(Box::pin(self.core.limiter.learn(&self.core.store, found, now)).await?)
            }
            _ => Ok(false),
        }
    }

    /// Counts a call that is good otherwise, and judges it once more where it is one too many.
    async fn measured(
        self,
        found: Option<&KnownKey>,
        decision: Decision,
        now: Timestamp,
        judge: impl Fn(&KnownKey, Meter) -> Result<Decision, ServiceError>,
    ) -> Result<(Decision, Measured), ServiceError> {
        match (decision, found) {
            (Decision::Allow, Some(found)) => {
                if !found.is_limited() {
                    return Ok((Decision::Allow, Measured::default()));
                }
                let measured = match self.core.limiter.take_pace(found, (now, since_boot()), |_| ()) {
                    Some((measured, _)) => measured,
                    None => Box::pin(self.core.limiter.take(&self.core.store, found, now)).await?,
                };
                let decision = match measured.meter {
                    Meter::Within => Decision::Allow,
                    meter => judge(found, meter)?,
                };
                Ok((decision, measured))
            }
            (decision, _) => Ok((decision, Measured::default())),
        }
    }

    /// Notes what was decided, and gives the caller if that was a yes.
    fn conclude(
        self,
        facts: &RequestFacts<'_>,
        presented: &Presented<'_>,
        found: Option<Box<KnownKey>>,
        decision: Decision,
        now: Timestamp,
        retry_after: Option<Duration>,
    ) -> Result<KeyCaller, AccessError> {
        // How it ends, where that is sure by now.
        let outcome = match decision {
            Decision::Allow if facts.is_question => Some(Outcome::Succeeded),
            Decision::Allow => None,
            Decision::Deny { .. } => Some(Outcome::Refused),
        };
        let without_row = self.without_row(found.as_deref(), outcome, now);
        if let Some(counted) = without_row {
            facts.trace.count(counted);
        } else if let Some(mut subject) = self.subject_of(facts, presented, found.as_deref(), &decision, now) {
            subject.has_row = outcome.is_some();
            self.core.recorder.record_refusal_of(&subject);
            facts.trace.set(subject);
        }
        match (decision, found) {
            (Decision::Allow, Some(found)) => Ok(self.accept(&presented.secret, *found, now)?),
            (Decision::Deny { reason, missing_scope }, _) => {
                Err(AccessError::Refused(Refusal { reason, missing_scope, retry_after }))
            }
            (Decision::Allow, None) => Err(AccessError::Refused(Refusal::because(Reason::KeyUnknown))),
        }
    }

    /// A call of a known key that ends so, where it is to be counted and no more.
    fn without_row(self, found: Option<&KnownKey>, outcome: Option<Outcome>, at: Timestamp) -> Option<Counted> {
        let (found, outcome) = (found?, outcome?);
        let has_row = self.core.recorder.takes_row(found.id, outcome, at);
        (!has_row).then(|| Counted { tenant: found.tenant(), key: found.id, outcome, at })
    }

    /// For whom a call is written down: for the key's business; where no key is known, for the one that was named, as long
    /// as not too many such calls come, by whatever door.
    fn written_for(
        self,
        found: Option<&KnownKey>,
        named: impl FnOnce() -> Option<BusinessId>,
        now: Timestamp,
    ) -> Option<BusinessId> {
        match found {
            Some(found) => Some(found.business.id.clone()),
            None => named().filter(|_| self.core.recorder.takes_stranger(now)),
        }
    }

    /// What is written down of a call, if anything is.
    fn subject_of(
        self,
        facts: &RequestFacts<'_>,
        presented: &Presented<'_>,
        found: Option<&KnownKey>,
        decision: &Decision,
        now: Timestamp,
    ) -> Option<Subject> {
        let named = || presented.business_ids.iter().find_map(|id| id.parse().ok());
        let business = self.written_for(found, named, now)?;
        let secret = &presented.secret;
        Some(Subject {
            reference: facts.request_id,
            at: now,
            business,
            environment: environment_of(found, presented.claim),
            key: found.map(SubjectKey::of),
            door: Door::Api,
            method: facts.method.to_owned(),
            path: facts.route.to_owned(),
            address: facts.address,
            client: facts
                .user_agent
                .filter(|header| !header.contains(secret.expose()))
                .and_then(ClientName::of_user_agent),
            origin: facts.origin.filter(|origin| worth_keeping(origin, secret)).map(ToOwned::to_owned),
            last_three: Some(secret.last_three().as_str().to_owned()),
            missing_scope: missing_scope_of(decision),
            reason: decision.reason(),
            has_row: false,
        })
    }

    /// A platform key: it has no dates and no business, and is protected like a LIVE key.
    fn judge_platform(
        found: Option<&PlatformKeyRow>,
        transport: Transport,
        from_browser: bool,
    ) -> Result<PlatformCaller, Reason> {
        match found {
            None => Err(Reason::KeyUnknown),
            Some(key) if key.revoked_at.is_some() => Err(Reason::KeyRevoked),
            Some(_) if transport == Transport::Plain => Err(Reason::HttpsRequired),
            Some(_) if from_browser => Err(Reason::BrowserNotAllowed),
            Some(key) => Ok(PlatformCaller { id: key.id, scopes: scopes_of(key) }),
        }
    }

    /// An accepted key: its digest is brought under the current pepper.
    fn accept(self, secret: &ApiKeySecret, found: KnownKey, now: Timestamp) -> Result<KeyCaller, ServiceError> {
        if renewed_is_due(&self.core.secrets.current(), found.pepper_version, now) {
            self.renew_digest(secret, &found, now);
        }
        KeyCaller::new(found)
    }

    /// After a rotation of the pepper, a key's row moves to the new one when the key is next used. Beside the request: what
    /// was judged is said before it is too old.
    fn renew_digest(self, secret: &ApiKeySecret, found: &KnownKey, now: Timestamp) {
        let Some((digest, pepper)) = self.renewed(secret, found.pepper_version) else { return };
        let (tenant, key, version, old) = (found.tenant(), found.id, found.version, found.digest);
        self.renew_beside(key.to_string(), move |core| async move {
            let mut tx = core.store.begin().await?;
            if tx.redigest_version(&tenant, key, version, &old, &digest, pepper).await? {
                let target = renamed(key, &old);
                tx.append_change(ChangeKind::Key, Some(&tenant.business), Some(&target), now).await?;
                tx.commit().await?;
                core.index.heard();
            }
            Ok(())
        });
    }

    /// The same for the operator's keys.
    fn renew_platform_digest(self, secret: &ApiKeySecret, row: &PlatformKeyRow, now: Timestamp) {
        let Some((digest, pepper)) = self.renewed(secret, row.pepper_version) else { return };
        let (key, old) = (row.id, row.digest);
        self.renew_beside(key.to_string(), move |core| async move {
            let mut tx = core.store.begin().await?;
            tx.redigest_platform_key(key, &old, &digest, pepper).await?;
            tx.append_change(ChangeKind::PlatformKey, None, Some(&key.to_string()), now).await?;
            tx.commit().await?;
            core.index.heard();
            Ok(())
        });
    }

    /// Writes in a task of its own, if not too many do so already: the next use tries again.
    fn renew_beside<F>(self, key: String, write: impl FnOnce(Arc<Core>) -> F)
    where
        F: Future<Output = Result<(), StoreError>> + Send + 'static,
    {
        let Ok(permit) = Arc::clone(&self.core.renewals).try_acquire_owned() else { return };
        let Some(core) = self.core.jobs.core() else { return };
        let written = write(core);
        tokio::spawn(async move {
            if let Err(error) = written.await {
                not_renewed(&key, &error);
            }
            drop(permit);
        });
    }

    /// The digest under the current pepper, where the row's is an older one.
    fn renewed(self, secret: &ApiKeySecret, pepper_version: u32) -> Option<(KeyDigest, u32)> {
        let ring = self.core.secrets.current();
        (pepper_version < ring.current_pepper()).then(|| ring.digest(&KeyFingerprint::of(secret)))
    }

    /// Keeps the reason of a request that could not even be read, for the business that it names.
    fn keep_unread(self, facts: &RequestFacts<'_>, reason: Reason) {
        let [named] = facts.headers.business_id else { return };
        let now = self.core.clock.now();
        let named = || std::str::from_utf8(named).ok()?.parse().ok();
        let Some(business) = self.written_for(None, named, now) else { return };
        let subject = Subject {
            reference: facts.request_id,
            at: now,
            business,
            environment: None,
            key: None,
            door: Door::Api,
            method: facts.method.to_owned(),
            path: facts.route.to_owned(),
            address: facts.address,
            // What could not be read may stand in any header.
            client: None,
            origin: None,
            last_three: None,
            missing_scope: None,
            reason: Some(reason),
            has_row: false,
        };
        self.core.recorder.record_refusal_of(&subject);
        facts.trace.set(subject);
    }

    /// Keeps the answer to a question of the verify call as one of our own doors would have given it. Of a text that could
    /// not be read, or is no key of a business, nothing is kept but for whom it was. Gives the reference of a refusal.
    fn keep_verdict(
        self,
        request: &VerifyRequest,
        read: Option<(&Question<'_>, Option<&KnownKey>)>,
        decision: &Decision,
        now: Timestamp,
        took: Duration,
    ) -> Option<RequestId> {
        let reason = decision.reason();
        let found = read.and_then(|(_, found)| found);
        let Some(reference) = request.reference else {
            if let (None, Some(found)) = (reason, found) {
                self.core.recorder.record_use(found.id, now);
            }
            return None;
        };
        let outcome = if reason.is_some() { Outcome::Refused } else { Outcome::Succeeded };
        if let Some(counted) = self.without_row(found, Some(outcome), now) {
            self.core.recorder.count(&counted);
            return None;
        }
        let named = || request.business_id.as_ref().and_then(|id| id.parse().ok());
        let secret = read.map(|(question, _)| &question.secret);
        let origin = secret.zip(request.origin.as_ref()).filter(|(secret, origin)| worth_keeping(origin, secret));
        let subject = Subject {
            reference,
            at: now,
            business: self.written_for(found, named, now)?,
            environment: read.and_then(|(question, found)| environment_of(found, question.claim)),
            key: found.map(SubjectKey::of),
            door: Door::Verify,
            method: VERIFY_METHOD.to_owned(),
            path: VERIFY_ROUTE.to_owned(),
            address: request.address,
            client: None,
            origin: origin.map(|(_, origin)| origin.clone()),
            last_three: secret.map(|secret| secret.last_three().as_str().to_owned()),
            missing_scope: missing_scope_of(decision),
            reason,
            has_row: true,
        };
        self.core.recorder.record_refusal_of(&subject);
        let status = reason.map_or(200, |reason| match reason.disclosure() {
            Disclosure::BadRequest => 400,
            Disclosure::Spoken | Disclosure::Generic => 401,
            Disclosure::Forbidden => 403,
            Disclosure::Limited => 429,
        });
        self.core.recorder.record_answer(subject, CallAnswer { status, took, code: None });
        reason.map(|_| reference)
    }
}

/// Whether a row is under an older pepper than it may be: the newest, once the other nodes had the time to take it up.
fn renewed_is_due(ring: &KeyRing, pepper_version: u32, now: Timestamp) -> bool {
    pepper_version < ring.current_pepper() && now.since(ring.current_pepper_since()) >= PEPPER_GRACE
}

/// Whether what was found is good for a request.
fn judge(
    facts: &RequestFacts<'_>,
    demand: &Demand,
    presented: &Presented<'_>,
    found: Option<&KnownKey>,
    (meter, now): (Meter, Timestamp),
) -> Result<Decision, ServiceError> {
    let snapshot = found.map(KnownKey::snapshot).transpose()?;
    let circumstances = Circumstances {
        business_ids: &presented.business_ids,
        origin: facts.origin,
        from_browser: facts.from_browser,
        address: facts.address,
        transport: facts.transport,
        meter,
        now,
    };
    Ok(decide(snapshot.as_ref(), demand, &circumstances))
}

/// The environment of a key; of an unknown one, what its text says.
fn environment_of(found: Option<&KnownKey>, claim: TextClaim) -> Option<Environment> {
    match (found, claim) {
        (Some(found), _) => Some(found.environment),
        (None, TextClaim::Branded { environment, .. }) => Some(environment),
        (None, TextClaim::Plain | TextClaim::Platform) => None,
    }
}

fn missing_scope_of(decision: &Decision) -> Option<String> {
    match decision {
        Decision::Deny { missing_scope, .. } => missing_scope.as_ref().map(ToString::to_string),
        Decision::Allow => None,
    }
}

/// Whether an `Origin` is one, and holds no key that strayed into it.
fn worth_keeping(origin: &str, presented: &ApiKeySecret) -> bool {
    (origin == "null" || origin.parse::<Origin>().is_ok()) && !origin.contains(presented.expose())
}

/// How the change is told by which a value gets another digest.
pub(crate) fn renamed(key: KeyId, old: &KeyDigest) -> String {
    format!("{key} {}", old.to_hex())
}

/// The key works under the old pepper all the same; the next use tries again.
fn not_renewed(key: &dyn std::fmt::Display, error: &StoreError) {
    tracing::warn!(key.id = %key, error = error as &dyn std::error::Error, "the digest of a key was not renewed");
}

#[cfg(test)]
mod tests {
    use trousseau_domain::business::Language;
    use trousseau_domain::metadata::Metadata;
    use trousseau_store::testing::TestDatabase;

    use super::*;
    use crate::app::App;
    use crate::businesses::BusinessDraft;
    use crate::clock::ManualClock;
    use crate::context::Context;
    use crate::entropy::SeededEntropy;
    use crate::idempotency::Answered;
    use crate::secrets::Secrets;
    use crate::settings::Settings;

    async fn app(database: &TestDatabase) -> App {
        let clock = Arc::new(ManualClock::new("2026-01-31T09:30:00Z".parse().expect("good")));
        let entropy = Arc::new(SeededEntropy::new(1));
        let (store, keys) = (database.store().clone(), database.folder().expect("SQLite has one").join("keys.toml"));
        let secrets = Secrets::open(store.clone(), keys, clock.clone(), entropy.clone()).await.expect("opens");
        App::new(store, secrets, Settings::default(), clock, entropy)
    }

    fn done<T>(answered: Answered<T>) -> T {
        match answered {
            Answered::Done(done) => done,
            Answered::Replayed(_) => unreachable!("nothing was asked to be kept"),
        }
    }

    #[tokio::test]
    async fn a_yes_that_is_over_is_looked_for_again_and_counted_once() {
        let database = TestDatabase::sqlite().await;
        let (app, system) = (app(&database).await, Context::system());
        let draft = BusinessDraft {
            name: "Atelier".parse().expect("a name"),
            id: None,
            profile: None,
            time_zone: None,
            language: Language::English,
            metadata: Metadata::default(),
            invite: None,
        };
        let made = done(app.businesses().create(&system, &draft, None).await.expect("made"));
        let keys: Vec<_> =
            made.keys.iter().filter(|key| key.view.key.tenant.environment == Environment::Test).collect();
        let [one, other] = keys.as_slice() else { panic!("a secret key and a checkout key") };
        let request = |key: &crate::keys::IssuedKey, reference: u8| VerifyRequest {
            key: zeroize::Zeroizing::new(key.value.expose().to_owned()),
            business_id: Some(made.business.id.to_string()),
            demand: Demand::default(),
            origin: None,
            address: None,
            reference: Some(RequestId::from_random([reference; 16])),
        };
        let requests = [request(one, 1), request(other, 2)];
        let mut verdicts = Vec::new();
        for request in &requests {
            verdicts.push(app.access().verify(request).await.expect("answered"));
        }
        assert!(verdicts.iter().all(|verdict| verdict.key.is_some() && verdict.until.holds()));
        let suspended = app.businesses().suspend(&system, &made.business.id, None).await;
        done(suspended.expect("suspended"));
        // As if the others of the batch had taken that long.
        verdicts[0].until = Lease::since(0);
        let said = app.access().said_together(&requests, verdicts).await.expect("answered");
        assert_eq!(said[0].decision.reason(), Some(Reason::BusinessSuspended));
        assert!(said[0].key.is_none() && said[1].key.is_some(), "only what is over is looked for again");
        app.jobs().flush_now().await.expect("written");
        let counted = "SELECT CAST(SUM(requests) AS TEXT) FROM usage_days";
        assert_eq!(database.texts(counted).await, ["2"]);
    }
}
