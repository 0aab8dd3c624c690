//! The control tokens that the chat format uses, by name. Their ids differ between vocabularies
//! and are looked up by literal; not every vocabulary has all of them.

/// A control token of the chat format (spec/chat.md 1.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Special {
    /// Begins a prompt.
    Bos,
    /// Ends every assistant turn.
    Eos,
    /// Padding.
    Pad,
    /// Opens a user turn.
    User,
    /// Opens an assistant turn.
    Assistant,
    /// Opens the reasoning.
    Think,
    /// Closes the reasoning.
    EndThink,
    /// Marks the tags of tool calls. The angle brackets around it are ordinary text.
    Dsml,
    /// Opens a reminder.
    LatestReminder,
    /// Internal task.
    Action,
    /// Internal task.
    Query,
    /// Internal task.
    Authority,
    /// Internal task.
    Domain,
    /// Internal task.
    Title,
    /// Internal task.
    ReadUrl,
}

impl Special {
    /// All of them.
    pub const ALL: [Special; 15] = [
        Special::Bos,
        Special::Eos,
        Special::Pad,
        Special::User,
        Special::Assistant,
        Special::Think,
        Special::EndThink,
        Special::Dsml,
        Special::LatestReminder,
        Special::Action,
        Special::Query,
        Special::Authority,
        Special::Domain,
        Special::Title,
        Special::ReadUrl,
    ];

    /// The token as text. The bars are U+FF5C and the blocks U+2581.
    pub const fn literal(self) -> &'static str {
        match self {
            Special::Bos => "<｜begin▁of▁sentence｜>",
            Special::Eos => "<｜end▁of▁sentence｜>",
            Special::Pad => "<｜▁pad▁｜>",
            Special::User => "<｜User｜>",
            Special::Assistant => "<｜Assistant｜>",
            Special::Think => "<think>",
            Special::EndThink => "</think>",
            Special::Dsml => "｜DSML｜",
            Special::LatestReminder => "<｜latest_reminder｜>",
            Special::Action => "<｜action｜>",
            Special::Query => "<｜query｜>",
            Special::Authority => "<｜authority｜>",
            Special::Domain => "<｜domain｜>",
            Special::Title => "<｜title｜>",
            Special::ReadUrl => "<｜read_url｜>",
        }
    }

    /// The token's name in exports.
    pub const fn name(self) -> &'static str {
        match self {
            Special::Bos => "bos",
            Special::Eos => "eos",
            Special::Pad => "pad",
            Special::User => "user",
            Special::Assistant => "assistant",
            Special::Think => "think",
            Special::EndThink => "end_think",
            Special::Dsml => "dsml",
            Special::LatestReminder => "latest_reminder",
            Special::Action => "action",
            Special::Query => "query",
            Special::Authority => "authority",
            Special::Domain => "domain",
            Special::Title => "title",
            Special::ReadUrl => "read_url",
        }
    }
}
