using System.Globalization;
using TorchBridge.Inference.Pictures;

namespace TorchBridge.Inference.Tests;

public class ModelCardTests
{
    [Theory]
    [InlineData(false, false)]
    [InlineData(true, false)]
    [InlineData(false, true)]
    [InlineData(true, true)]
    public void A_card_comes_back_from_its_metadata_in_any_culture(bool antialias, bool orientation)
    {
        var culture = CultureInfo.CurrentCulture;
        try
        {
            CultureInfo.CurrentCulture = Comma();
            var card = new ModelCard(["cat", "d\"o,g", "<owl>"], 224, 160)
            {
                Reading = new PictureReading(antialias, orientation),
            };
            var read = ModelCard.Read(card.ToMetadata().ToDictionary(), "model.onnx");
            Assert.Equal(card.ClassNames, read.ClassNames);
            Assert.Equal((224, 160, card.Reading), (read.Width, read.Height, read.Reading));
        }
        finally
        {
            CultureInfo.CurrentCulture = culture;
        }
    }

    [Theory]
    [InlineData(ModelCard.ClassNamesKey, "[]")]
    [InlineData(ModelCard.ClassNamesKey, "[null]")]
    [InlineData(ModelCard.ClassNamesKey, "cat")]
    [InlineData(ModelCard.WidthKey, "0")]
    [InlineData(ModelCard.WidthKey, "-4")]
    [InlineData(ModelCard.HeightKey, "8193")]
    [InlineData(ModelCard.HeightKey, " 32")]
    [InlineData(ModelCard.AntialiasKey, "maybe")]
    public void What_cannot_be_is_refused_with_the_key_and_the_file(string key, string value)
    {
        var metadata = new ModelCard(["cat"], 32, 32).ToMetadata().ToDictionary();
        metadata[key] = value;
        var error = Assert.Throws<InvalidDataException>(() => ModelCard.Read(metadata, "some.onnx"));
        Assert.Contains(key, error.Message, StringComparison.Ordinal);
        Assert.Contains("some.onnx", error.Message, StringComparison.Ordinal);
    }

    /// <summary>Half of the world's culture: the programs here know none by name.</summary>
    private static CultureInfo Comma()
    {
        var culture = (CultureInfo)CultureInfo.InvariantCulture.Clone();
        culture.NumberFormat.NumberDecimalSeparator = ",";
        culture.NumberFormat.NumberGroupSeparator = ".";
        culture.NumberFormat.NegativeSign = "~";
        return culture;
    }
}
