//! What is kept of a body: codes, sentences and the few values that a recovery needs.

use crate::classify::words::{Word, vocabulary};

/// Most codes and sentences that are kept; errors come first in the replies that have them.
const FACTS_MAX: usize = 16;
/// Most scopes that are kept.
pub(crate) const SCOPES_MAX: usize = 8;

/// Whether a fact is a code of a vocabulary or a sentence for people.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Role {
    /// One word or number.
    #[default]
    Code,
    /// Prose.
    Sentence,
}

/// Where a fact was found, for the evidence.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Source {
    /// The body.
    #[default]
    Body,
    /// A parameter of a challenge.
    Challenge,
    /// Another header field.
    Header,
}

/// Something the reply states about its error.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Fact<'a> {
    /// The key it stood under, as [`pack`] numbers it.
    pub(crate) key: Word,
    /// What stood there, escapes included.
    pub(crate) text: &'a [u8],
    /// Code or prose.
    pub(crate) role: Role,
    /// Body, challenge or header.
    pub(crate) source: Source,
}

/// Yes-or-no facts about a body, as bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Flag(pub(crate) u32);

impl Flag {
    /// Holds an access token: a success, whatever else it says.
    pub(crate) const ACCESS_TOKEN: Self = Self(1);
    /// Says of itself that it is an error (`ok: false`, `errors`, a code other than nought).
    pub(crate) const ENVELOPE: Self = Self(1 << 1);
    /// `is_transient: true` and the like.
    pub(crate) const TRANSIENT: Self = Self(1 << 2);
    /// `saml_failure: true`.
    pub(crate) const SAML: Self = Self(1 << 3);
    /// The header has fields that are no standard's, so that a provider may be told by them.
    pub(crate) const PRIVATE_FIELDS: Self = Self(1 << 5);
    /// SOAP: the body is a fault whatever the status says.
    pub(crate) const SOAP: Self = Self(1 << 4);
}

/// A scalar as it stood, without its quotes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scalar<'a> {
    /// `false`.
    False,
    /// `null`.
    Null,
    /// A number.
    Number(&'a [u8]),
    /// Text, escapes included.
    Text(&'a [u8]),
    /// `true`.
    True,
}

/// Everything gathered from one reply.
#[derive(Clone, Debug)]
pub(crate) struct Facts<'a> {
    facts: [Fact<'a>; FACTS_MAX],
    count: usize,
    scopes: [&'a [u8]; SCOPES_MAX],
    scope_count: usize,
    flags: u32,
    /// A claims request (OpenID Connect Core 5.5).
    pub(crate) claims: Option<&'a [u8]>,
    /// `acr_values` of RFC 9470.
    pub(crate) acr_values: Option<&'a [u8]>,
    /// `max_age` of RFC 9470.
    pub(crate) max_age: Option<&'a [u8]>,
    /// A wait in seconds.
    pub(crate) wait_seconds: Option<&'a [u8]>,
    /// A wait in milliseconds.
    pub(crate) wait_milliseconds: Option<&'a [u8]>,
    /// Whether what stands under `data` is read: not where the status says success.
    pub(crate) reads_data: bool,
    /// The one string of a body that is nothing but a string.
    pub(crate) lone_text: Option<&'a [u8]>,
}

impl<'a> Facts<'a> {
    /// Nothing gathered yet; `reads_data` says whether what stands under `data` is read.
    pub(crate) const fn new(reads_data: bool) -> Self {
        Self {
            facts: [Fact { key: 0, text: b"", role: Role::Code, source: Source::Body }; FACTS_MAX],
            count: 0,
            scopes: [b""; SCOPES_MAX],
            scope_count: 0,
            flags: 0,
            claims: None,
            acr_values: None,
            max_age: None,
            wait_seconds: None,
            wait_milliseconds: None,
            reads_data,
            lone_text: None,
        }
    }
}

const CODE: u32 = 1;
const SENTENCE: u32 = 1 << 1;
const SCOPES: u32 = 1 << 2;
const CLAIMS: u32 = 1 << 3;
const ACR: u32 = 1 << 4;
const MAX_AGE: u32 = 1 << 5;
const SECONDS: u32 = 1 << 6;
const MILLISECONDS: u32 = 1 << 7;
const ACCESS_TOKEN: u32 = 1 << 8;
const OK: u32 = 1 << 9;
const TRANSIENT: u32 = 1 << 10;
const SAML: u32 = 1 << 11;
const ALIEN: u32 = 1 << 12;
const ERROR: u32 = 1 << 13;
const ERRORS: u32 = 1 << 14;
const WEAK: u32 = 1 << 15;
const DATA: u32 = 1 << 16;
const NUMBERED: u32 = 1 << 17;
const FAULT: u32 = 1 << 18;
const OUTCOME: u32 = 1 << 19;

vocabulary! {
    /// What stands under a key, by the key's name.
    fn key_meaning -> u32 {
        error => CODE | SENTENCE | ERROR;
        err => CODE | SENTENCE | ERROR;
        errors => CODE | SENTENCE | ERRORS;
        errorcode | errcode | ecode | ret => CODE | NUMBERED;
        stat | result => OUTCOME;
        status => CODE | SENTENCE | WEAK | OUTCOME;
        code => CODE | NUMBERED;
        errortype | reason | suberror | errorsubtype | errorsubcode | subcode | oauthproblem | faultcode | messagecode
            | errorcodes | serviceerrorcode | tag | typekey | errorname | issue | errorid | errorkey | exception
            | exceptionid | resultcode | errorreason | codestring | failurereason | errnum => CODE;
        kind => CODE | WEAK;
        _type | name | id | title | statuscode | category | errormeta => CODE | SENTENCE | WEAK;
        message | msg | errmsg | errormsg | errormessage | errordescription | description | detail | details
            | errorsummary | faultstring | longmessage | developermessage | usermessage | errorinfo | text | cause
            | info | summary | statusmessage | statusdescription | internalmessage | authenticationerrordetail
            | errordetail | errordetails | displaymessage | friendlymessage | value | errortext | desc | explanation
            | fault | xmlmessage | resultmessage | note | subtitle | reasonphrase => SENTENCE;
        scope | scopes | requiredscopes | requiredscope | missingscopes | missingscope | needed | scopesrequired => SCOPES;
        required => SCOPES | WEAK;
        claims => CLAIMS;
        acrvalues => ACR;
        maxage => MAX_AGE;
        retryafter | retryafterseconds | retrydelay | interval | retryafters | retryinseconds | backoff => SECONDS;
        retryafterms | retryaftermillis => MILLISECONDS;
        accesstoken | tenantaccesstoken | appaccesstoken | useraccesstoken | idtoken => ACCESS_TOKEN;
        ok | success | succeeded => OK;
        istransient => TRANSIENT;
        samlfailure => SAML;
        envelope => FAULT;
        data => DATA;
        input | request | params | parameters | payload | locations | path | metadata | config | query | variables
            | original | links | help | object | context | location | source => ALIEN;
    }
}

/// Whether what stands below a key is the caller's own data or an address, and not the error.
pub(crate) const fn is_alien(key: Word) -> bool {
    key_meaning(key) & ALIEN != 0
}

/// Whether the key opens a SOAP envelope.
pub(crate) const fn is_soap(key: Word) -> bool {
    key_meaning(key) & FAULT != 0
}

impl<'a> Facts<'a> {
    /// The codes and sentences, in the order they came.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Fact<'a>> {
        self.facts[..self.count].iter()
    }

    /// The codes alone.
    pub(crate) fn codes(&self) -> impl Iterator<Item = &Fact<'a>> {
        self.iter().filter(|fact| fact.role == Role::Code)
    }

    /// Scopes the reply names, each as it stood.
    pub(crate) fn scopes(&self) -> &[&'a [u8]] {
        &self.scopes[..self.scope_count]
    }

    /// Whether a flag is set.
    pub(crate) const fn has(&self, flag: Flag) -> bool {
        self.flags & flag.0 != 0
    }

    /// Sets a flag.
    pub(crate) const fn set(&mut self, flag: Flag) {
        self.flags |= flag.0;
    }

    /// Keeps a fact while there is room.
    pub(crate) fn keep(&mut self, fact: Fact<'a>) {
        if let Some(place) = self.facts.get_mut(self.count) {
            *place = fact;
            self.count += 1;
        }
    }

    /// Keeps a scope while there is room.
    pub(crate) fn keep_scope(&mut self, scope: &'a [u8]) {
        if let Some(place) = self.scopes.get_mut(self.scope_count) {
            *place = scope;
            self.scope_count += 1;
        }
    }

    /// Takes one scalar from a reader: `key` is the one it stands under, `parent` the one above.
    pub(crate) fn take(&mut self, key: Word, parent: Word, depth: u8, value: Scalar<'a>) {
        let mut meaning = key_meaning(key);
        if meaning == 0 {
            // An array of strings or an object keyed by field name under `errors`.
            meaning = if key_meaning(parent) & ERRORS != 0 { SENTENCE } else { return };
        }
        match value {
            Scalar::Null => {}
            Scalar::True => self.take_truth(meaning),
            Scalar::False => {
                if meaning & OK != 0 && depth == 1 {
                    self.set(Flag::ENVELOPE);
                }
            }
            Scalar::Number(text) => self.take_number(key, meaning, depth, text),
            Scalar::Text(text) => self.take_text(key, parent, meaning, depth, text),
        }
    }

    fn take_truth(&mut self, meaning: u32) {
        if meaning & TRANSIENT != 0 {
            self.set(Flag::TRANSIENT);
        } else if meaning & SAML != 0 {
            self.set(Flag::SAML);
        }
    }

    fn take_number(&mut self, key: Word, meaning: u32, depth: u8, text: &'a [u8]) {
        if meaning & CODE != 0 {
            self.keep(Fact { key, text, role: Role::Code, source: Source::Body });
            let nought = matches!(text, b"0" | b"200" | b"201");
            if !nought && depth == 1 && meaning & (NUMBERED | ERROR) != 0 {
                self.set(Flag::ENVELOPE);
            }
        }
        self.take_value(meaning, text);
    }

    fn take_text(&mut self, key: Word, parent: Word, meaning: u32, depth: u8, text: &'a [u8]) {
        if text.is_empty() {
            return;
        }
        if meaning & ACCESS_TOKEN != 0 {
            self.set(Flag::ACCESS_TOKEN);
        }
        if meaning & OUTCOME != 0 && depth == 1 && is_failure(text) {
            self.set(Flag::ENVELOPE);
        }
        if meaning & SCOPES != 0 && (meaning & WEAK == 0 || key_meaning(parent) & SENTENCE != 0) {
            self.keep_scope(text);
        }
        self.take_value(meaning, text);
        if meaning & (CODE | SENTENCE) == 0 || (meaning & WEAK != 0 && is_address(text)) {
            return;
        }
        // Some send a code where the sentence belongs: `"message": "authorization_pending"`.
        let code = is_word(text) && (meaning & CODE != 0 || text.contains(&b'_'));
        self.keep(Fact { key, text, role: role_of(code), source: Source::Body });
        if meaning & (ERROR | ERRORS) != 0 || (depth == 1 && meaning & NUMBERED != 0 && !matches!(text, b"0" | b"200"))
        {
            self.set(Flag::ENVELOPE);
        }
    }

    fn take_value(&mut self, meaning: u32, text: &'a [u8]) {
        let slot = match () {
            () if meaning & SECONDS != 0 => &mut self.wait_seconds,
            () if meaning & MILLISECONDS != 0 => &mut self.wait_milliseconds,
            () if meaning & CLAIMS != 0 => &mut self.claims,
            () if meaning & ACR != 0 => &mut self.acr_values,
            () if meaning & MAX_AGE != 0 => &mut self.max_age,
            () => return,
        };
        slot.get_or_insert(text);
    }

    /// Notes that an object or array opens under `key`; a member `error` or `errors` of the
    /// outermost object makes the whole an error.
    pub(crate) fn open(&mut self, key: Word, depth: u8) {
        if depth <= 1 && key_meaning(key) & (ERROR | ERRORS) != 0 {
            self.set(Flag::ENVELOPE);
        }
    }
}

/// Whether a reply that calls its outcome so is an error.
fn is_failure(outcome: &[u8]) -> bool {
    [b"error".as_slice(), b"fail", b"failed", b"failure"].iter().any(|name| outcome.eq_ignore_ascii_case(name))
}

const fn role_of(code: bool) -> Role {
    if code { Role::Code } else { Role::Sentence }
}

/// Whether codes belong under `key`, so that one found there can be believed.
pub(crate) const fn holds_codes(key: Word) -> bool {
    key_meaning(key) & CODE != 0
}

/// Whether `key` holds the success data of a reply, which is not read for errors.
pub(crate) const fn is_data(key: Word) -> bool {
    key_meaning(key) & DATA != 0
}

/// One word: a code. A sentence has blanks.
pub(crate) fn is_word(text: &[u8]) -> bool {
    text.len() <= 80 && !text.iter().any(|byte| matches!(byte, b' ' | b'\n' | b'\t') || *byte >= 0x80)
}

fn is_address(text: &[u8]) -> bool {
    text.starts_with(b"http") || text.starts_with(b"type.googleapis") || text.starts_with(b"about:")
}
