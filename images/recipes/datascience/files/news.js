// What the pool says to its people: asked of the front door, and shown above every page of the notebook server.
define(['base/js/namespace'], function () {
  'use strict';

  var often = 15 * 1000;
  var shown = {};
  var isFirst = true;

  function show(item) {
    if (shown[item.id]) return;
    shown[item.id] = true;
    var bar = document.createElement('div');
    bar.className = 'poolhouse-news';
    bar.setAttribute('role', 'alert');
    bar.style.cssText =
      'position:fixed;z-index:10000;top:0;left:0;right:0;padding:.6em 3em .6em 1em;' +
      'background:#e5a50a;color:#000;font:14px/1.4 sans-serif;box-shadow:0 1px 4px rgba(0,0,0,.4)';
    // As text: it is not ours to say what of it is markup.
    bar.appendChild(document.createTextNode(item.words));
    var close = document.createElement('button');
    close.setAttribute('aria-label', 'Close');
    close.textContent = '\u00d7';
    close.style.cssText =
      'position:absolute;top:.3em;right:.6em;border:0;background:none;color:inherit;font-size:1.4em';
    close.onclick = function () {
      bar.remove();
    };
    bar.appendChild(close);
    document.body.appendChild(bar);
  }

  function ask() {
    fetch('/poolhouse/news', { credentials: 'same-origin', cache: 'no-store' })
      .then(function (answer) {
        return answer.json();
      })
      .then(function (said) {
        said.news.forEach(function (item) {
          // What was said of another machine is for pages that were open then.
          if (isFirst && item.old) shown[item.id] = true;
          else show(item);
        });
        isFirst = false;
      })
      // The gateway may be away for a moment.
      .catch(function () {});
  }

  return {
    load_ipython_extension: function () {
      ask();
      setInterval(ask, often);
    },
  };
});
