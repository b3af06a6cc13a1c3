//! `@verifyCC`, `@verifySSN`, `@verifyCPF`, `@verifySVNR` with a pattern: something that the pattern finds has the check digits
//! (or the form) of a payment card, a United States social security number, a Brazilian CPF, or an Austrian SVNR.

use regex::bytes::Regex;

use super::{Groups, Test};
use crate::compile::pattern::{Case, compile_linear};
use crate::seclang::Files;

/// A pattern, and a check of the digits of what it finds.
#[derive(Debug, Clone)]
pub struct Numbers {
    pattern: Regex,
    check: fn(&[u8]) -> bool,
}

pub(super) fn build_cc(argument: &str, _files: &dyn Files) -> Result<Test, String> {
    build(argument, is_card)
}

pub(super) fn build_ssn(argument: &str, _files: &dyn Files) -> Result<Test, String> {
    build(argument, is_ssn)
}

pub(super) fn build_cpf(argument: &str, _files: &dyn Files) -> Result<Test, String> {
    build(argument, is_cpf)
}

pub(super) fn build_svnr(argument: &str, _files: &dyn Files) -> Result<Test, String> {
    build(argument, is_svnr)
}

fn build(argument: &str, check: fn(&[u8]) -> bool) -> Result<Test, String> {
    let pattern = compile_linear(argument, Case::AsWritten)?;
    Ok(Test::Numbers(Numbers { pattern, check }))
}

impl Numbers {
    pub(super) fn is_found(&self, value: &[u8]) -> bool {
        self.find(value).is_some()
    }

    pub(super) fn groups(&self, value: &[u8]) -> Groups {
        let mut groups = Groups::default();
        groups[0] = self.find(value);
        groups
    }

    fn find(&self, value: &[u8]) -> Option<(u32, u32)> {
        self.pattern
            .find_iter(value)
            .find(|found| {
                let digits: Vec<u8> = found
                    .as_bytes()
                    .iter()
                    .filter(|byte| byte.is_ascii_digit())
                    .map(|byte| byte - b'0')
                    .collect();
                (self.check)(&digits)
            })
            .map(|found| (found.start() as u32, found.end() as u32))
    }
}

/// ISO/IEC 7812: from the right, every second digit counts twice, and the sum of all digits is a multiple of ten.
fn is_card(digits: &[u8]) -> bool {
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(place, &digit)| match (place % 2, u32::from(digit) * 2) {
            (0, _) => u32::from(digit),
            (_, doubled) => doubled / 10 + doubled % 10,
        })
        .sum();
    digits.len() >= 2 && sum.is_multiple_of(10)
}

/// Nine digits: area, group and serial, none of them all zeros, no area that is never given out.
fn is_ssn(digits: &[u8]) -> bool {
    let number = |part: &[u8]| part.iter().fold(0u32, |sum, &digit| sum * 10 + u32::from(digit));
    let [a, b, c, d, e, serial @ ..] = digits else {
        return false;
    };
    let area = number(&[*a, *b, *c]);
    let sequence = digits.windows(2).all(|pair| match pair {
        [one, next] => *next == one + 1,
        _ => false,
    });
    let repeated = digits.windows(2).all(|pair| pair.first() == pair.last());
    serial.len() == 4
        && area != 0
        && area != 666
        && area < 740
        && number(&[*d, *e]) != 0
        && number(serial) != 0
        && !sequence
        && !repeated
}

/// Eleven digits, of which the last two check those before them; not all the same.
fn is_cpf(digits: &[u8]) -> bool {
    let repeated = digits.windows(2).all(|pair| pair.first() == pair.last());
    let check = |count: usize| {
        let weighted = digits.iter().take(count).zip((2..=count as u32 + 1).rev());
        let rest = weighted.map(|(&digit, weight)| u32::from(digit) * weight).sum::<u32>() * 10 % 11;
        digits.get(count).is_some_and(|&digit| u32::from(digit) == rest % 10)
    };
    digits.len() == 11 && !repeated && check(9) && check(10)
}

/// Ten digits, of which the fourth checks the others.
fn is_svnr(digits: &[u8]) -> bool {
    let weights = [3, 7, 9, 0, 5, 8, 4, 2, 1, 6];
    let sum: u32 = digits
        .iter()
        .zip(weights)
        .map(|(&digit, weight)| u32::from(digit) * weight)
        .sum();
    let repeated = digits.windows(2).all(|pair| pair.first() == pair.last());
    digits.len() == 10 && !repeated && digits.get(3).is_some_and(|&digit| u32::from(digit) == sum % 11)
}
