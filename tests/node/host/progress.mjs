export function warn(message, hints) {
  console.error([`warning: ${message}`, ...hints.map((hint) => `hint: ${hint}`)].join('\n'));
}
