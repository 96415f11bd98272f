(() => {
  const root = document.documentElement;
  root.classList.add("js");
  root.dataset.criterion = "max";
  const cards = [...document.querySelectorAll(".card")];
  const pair = document.getElementById("pair");
  const group = document.getElementById("group");
  const order = document.getElementById("order");
  const words = document.getElementById("words");
  const list = document.getElementById("cards");
  const place = new Map(cards.map((card, index) => [card, index]));
  const texts = new Map();

  const textOf = (card) => {
    if (!texts.has(card)) texts.set(card, card.textContent.toLowerCase());
    return texts.get(card);
  };
  const show = () => {
    const wanted = words.value.trim().toLowerCase();
    let shown = 0;
    for (const card of cards) {
      const keep = (!pair.value || card.dataset.pair === pair.value)
        && (!group.value || card.dataset.group === group.value)
        && (!wanted || textOf(card).includes(wanted));
      card.hidden = !keep;
      shown += keep;
    }
    document.getElementById("none").style.display = shown ? "none" : "block";
    document.getElementById("shown").textContent = `${shown} of ${cards.length}`;
  };
  const sort = () => {
    const key = order.value;
    const number = (card) => Number.isNaN(parseFloat(card.dataset[key])) ? -Infinity : parseFloat(card.dataset[key]);
    const sorted = [...cards].sort((a, b) => key
      ? number(b) - number(a) || place.get(a) - place.get(b)
      : place.get(a) - place.get(b));
    list.append(...sorted);
  };
  for (const control of [pair, group]) control.addEventListener("change", show);
  words.addEventListener("input", show);
  order.addEventListener("change", sort);
  const buttons = [...document.querySelectorAll("[data-show]")];
  for (const button of buttons) {
    button.addEventListener("click", () => {
      root.dataset.criterion = button.dataset.show;
      for (const other of buttons) other.setAttribute("aria-pressed", String(other === button));
    });
  }
  show();
})();
