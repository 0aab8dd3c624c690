//! Counts reasoning, and closes it when its budget is used up.

use std::sync::Arc;

use ds4_text::{Special, StreamDecoder, Tokenizer, TokenizerError};

use crate::limits::CLOSE_DELAY_MAX;

/// The reasoning of one answer. It opens and closes by token id, as the reader of turns sees it.
pub struct Thinking {
    think: Option<u32>,
    end: Option<u32>,
    open: bool,
    used: usize,
    budget: Option<Budget>,
}

struct Budget {
    tokens: usize,
    /// Allows the closing token only.
    mask: Arc<[u32]>,
    /// Knows whether a character is cut.
    decoder: StreamDecoder,
}

impl Thinking {
    /// `open`: whether the prompt ended with the opening of reasoning.
    pub fn new(
        tokenizer: &Tokenizer,
        open: bool,
        budget: Option<usize>,
        vocab: usize,
    ) -> Result<Self, TokenizerError> {
        let budget = match budget {
            None => None,
            Some(tokens) => {
                let end = tokenizer.require(Special::EndThink)? as usize;
                let mut mask = vec![0; vocab.div_ceil(32)];
                if let Some(word) = mask.get_mut(end / 32) {
                    *word |= 1 << (end % 32);
                }
                Some(Budget { tokens, mask: mask.into(), decoder: StreamDecoder::new() })
            }
        };
        let (think, end) =
            (tokenizer.special(Special::Think), tokenizer.special(Special::EndThink));
        Ok(Self { think, end, open, used: 0, budget })
    }

    /// Takes note of a token; whether it belongs to the reasoning, its borders included.
    pub fn take(&mut self, tokenizer: &Tokenizer, token: u32) -> bool {
        let was_open = self.open;
        if Some(token) == self.end {
            self.open = false;
        } else if Some(token) == self.think {
            self.open = true;
        } else if self.open
            && let Some(budget) = &mut self.budget
        {
            budget.decoder.push(tokenizer.token_bytes(token));
        }
        let reasoning = was_open || self.open;
        self.used += usize::from(reasoning);
        reasoning
    }

    /// Tokens of reasoning so far.
    pub fn used(&self) -> usize {
        self.used
    }

    /// Whether the next token's parameters depend on the count.
    pub fn counts(&self) -> bool {
        self.budget.is_some() && self.open
    }

    /// The mask that closes the reasoning, when it is time: never inside a character.
    pub fn mask(&self) -> Option<Arc<[u32]>> {
        let budget = self.budget.as_ref().filter(|_| self.open)?;
        let over = self.used.checked_sub(budget.tokens)?;
        let cut = budget.decoder.is_pending() && over < CLOSE_DELAY_MAX;
        (!cut).then(|| budget.mask.clone())
    }
}
