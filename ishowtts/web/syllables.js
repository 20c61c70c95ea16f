// Chinese has no spaces: the server times what stands between two punctuation marks as one word. Its syllables are
// about equally long, so its characters share that time.

/** A word with its time, or the characters of a Chinese one with theirs.
 *  @returns {[number, number, string][]} from, to, text */
export function syllables(from, to, word) {
  const parts = word.match(/\p{Script=Han}|[^\p{Script=Han}]+/gu) ?? [word];
  const each = (to - from) / parts.length;
  return parts.map((part, i) => [from + i * each, from + (i + 1) * each, part]);
}
