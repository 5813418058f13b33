use std::collections::HashMap;
use std::io;

use super::commands::{Answer, Answered, Ask, Conversation, Piece};
use crate::store::Look;

impl Conversation<'_> {
    /// Says one thing, and hears the answer.
    pub(super) fn exchange_one(&mut self, ask: &Ask) -> io::Result<Answered<Answer>> {
        let role = self.say_role();
        if let Ask::Look(digest, look) = ask {
            self.say_look(digest, *look);
            self.send()?;
            self.hear_role(role)?;
            return Ok(self.hear_look(*look)?.map(Answer::Piece));
        }
        self.say(ask)?;
        self.send()?;
        self.hear_role(role)?;
        let mut answer = self.hear(ask)?;
        if let Ok(None) = answer {
            self.say_again(ask)?;
            self.send()?;
            answer = self.hear(ask)?;
        }
        Ok(answer.map(|answer| answer.unwrap_or(Answer::Stored(false))))
    }

    /// Says it all, and hears the answer to each.
    pub(super) fn exchange(&mut self, asks: &[Ask]) -> io::Result<Vec<Answered<Answer>>> {
        let role = self.say_role();
        let looks = self.say_looks(asks);
        for ask in asks {
            self.say(ask)?;
        }
        self.send()?;
        self.hear_role(role)?;
        let mut pieces = self.hear_looks(looks)?.into_iter();
        let mut pieces = move || pieces.next().unwrap_or(Ok(None));
        let mut answers = Vec::with_capacity(asks.len());
        let mut again = Vec::new();
        for (place, ask) in asks.iter().enumerate() {
            answers.push(match ask {
                Ask::Look(..) => pieces().map(Answer::Piece),
                Ask::Looks(digests, _) => {
                    let pieces: Vec<_> = digests.iter().map(|_| pieces()).collect();
                    pieces
                        .into_iter()
                        .collect::<Result<_, _>>()
                        .map(Answer::Pieces)
                }
                ask => self.hear(ask)?.map(|answer| {
                    answer.unwrap_or_else(|| {
                        again.push(place);
                        Answer::Stored(false)
                    })
                }),
            });
        }
        if !again.is_empty() {
            self.put_again(asks, &again, &mut answers)?;
        }
        Ok(answers)
    }

    /// Looks for the same under the same key are said once. Returns what was said, and for each look which it is.
    fn say_looks(&mut self, asks: &[Ask]) -> (Vec<Look>, Vec<usize>) {
        let (mut said, mut places, mut known) = (Vec::new(), Vec::new(), HashMap::new());
        for (digests, look) in asks.iter().map(Ask::looks) {
            for digest in digests {
                let place = *known
                    .entry((digest, look.max_bytes, look.time_left))
                    .or_insert_with(|| {
                        self.say_look(digest, look);
                        said.push(look);
                        said.len() - 1
                    });
                places.push(place);
            }
        }
        (said, places)
    }

    fn hear_looks(
        &mut self,
        (said, places): (Vec<Look>, Vec<usize>),
    ) -> io::Result<Vec<Answered<Option<Piece>>>> {
        let heard = said.into_iter().map(|look| self.hear_look(look));
        let heard = heard.collect::<io::Result<Vec<_>>>()?;
        Ok(places
            .into_iter()
            .map(|place| heard[place].clone())
            .collect())
    }

    /// Puts that found something there, now with their fences.
    fn put_again(
        &mut self,
        asks: &[Ask],
        places: &[usize],
        answers: &mut [Answered<Answer>],
    ) -> io::Result<()> {
        for place in places {
            self.say_again(&asks[*place])?;
        }
        self.send()?;
        for place in places {
            let answer = self.hear(&asks[*place])?;
            answers[*place] = answer.map(|answer| answer.unwrap_or(Answer::Stored(false)));
        }
        Ok(())
    }
}
